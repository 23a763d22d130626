"""FFmpeg's filters, for what PyAV has no property or call for."""

from fractions import Fraction

import av


class Filter:
    """One filter with its arguments, for pictures of one size and format: one out for each in."""

    def __init__(self, name: str, arguments: str = "") -> None:
        self.name, self.arguments = name, arguments
        self._graph: av.filter.Graph | None = None

    def apply(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture, filtered."""
        graph = self._graph
        if graph is None:
            graph = self._graph = av.filter.Graph()
            source = graph.add_buffer(
                width=picture.width, height=picture.height, format=picture.format,
                time_base=picture.time_base or Fraction(1, 1000),
            )  # fmt: skip
            step = graph.add(self.name, self.arguments)
            graph.link_nodes(source, step, graph.add("buffersink")).configure()
        graph.push(picture)
        filtered = graph.pull()
        assert isinstance(filtered, av.VideoFrame)  # pictures went in
        return filtered
