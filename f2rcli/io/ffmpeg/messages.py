"""FFmpeg's log and errors: kept off the terminal, and shortened for ours."""

import logging

import av


def quiet_ffmpeg() -> None:
    """Let FFmpeg's messages reach errors and the log, not the terminal."""
    if av.logging.get_level() is None:
        av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # damage may be reported twice in the same words
    logger = logging.getLogger("libav")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())  # else Python prints them to standard error
        logger.propagate = bool(logging.getLogger().handlers)


def ffmpeg_reason(error: BaseException) -> str:
    """The shortest true statement of why FFmpeg failed."""
    log = getattr(error, "log", None)  # (level, component, message)
    if log and str(log[2]).strip():
        return str(log[2]).strip().rstrip(".")
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).split("; last error log")[0].strip()
