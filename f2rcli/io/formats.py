"""Suffixes of files, by the format that reads them: what a file is called says who looks at it.

Kept apart from the formats themselves, whose libraries take a while to load.
"""

RAW = frozenset({
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".rw2", ".rwl",
    ".orf", ".pef", ".srw", ".kdc", ".dcr", ".dcs", ".3fr", ".fff", ".iiq", ".mrw", ".erf", ".mef",
    ".mos", ".x3f", ".gpr",
})  # fmt: skip
TIFF = frozenset({".tif", ".tiff"})
# TIFF under other names: BigTIFF, Zeiss LSM, MetaMorph, and those of makers of slide scanners
# (PerkinElmer, Aperio, Hamamatsu, Leica, Ventana). Never pages of a folder.
BIG_TIFF = frozenset({".btf", ".tf2", ".tf8"})
MAKERS_TIFF = frozenset({".lsm", ".stk", ".qptiff", ".svs", ".ndpi", ".scn", ".bif"})
HDF5 = (".h5", ".hdf5", ".hdf", ".nwb")
FITS = (".fits", ".fit", ".fts")
ZARR = ".zarr"
STACKS = TIFF | BIG_TIFF | MAKERS_TIFF | {".nd2", ".czi", ".lif", ZARR, *HDF5, *FITS}
TARGET_STACKS = TIFF | BIG_TIFF | MAKERS_TIFF | {ZARR}
# What people bring and f2r does not read: refused by name, with a way, and not as damaged videos.
EXPORT = "Export it as OME-TIFF, for example with Fiji's Bio-Formats."
_MADE = """.dcimg .dcm .dm3 .dm4 .ets .ics .ims .lof .mrc .nd .nii .nrrd .oib .oif .oir .sif .sld
.spe .vsi .xlef .zvi"""
UNREAD = dict.fromkeys(_MADE.split(), EXPORT) | {
    **dict.fromkeys((".npy", ".npz"), "Pass the array to f2rcli.denoise, or make it an OME-TIFF."),
    **dict.fromkeys((".zip", ".ozx", ".gz", ".tar", ".7z"), "Unpack it first."),
    ".ser": "Make it a TIFF stack or AVI first: Siril and PIPP do.",
    **dict.fromkeys((".heic", ".heif", ".hif"), "Make it a PNG first: ImageMagick does."),
    ".mlv": "Make it a folder of DNG first, with MLV App or mlv_dump --dng, and name that.",
}
# Still pictures, with FFmpeg's codec.
PICTURES = {
    ".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg", ".bmp": "bmp", ".webp": "webp",
    ".tga": "targa", ".ppm": "ppm", ".pgm": "pgm", ".pnm": "ppm", ".exr": "exr", ".dpx": "dpx",
    ".jp2": "jpeg2000", ".j2k": "jpeg2000",
}  # fmt: skip
WRITTEN_PICTURES = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}
# Video: everything else may be one, since FFmpeg decides by content; only folders are searched by
# suffix.
VIDEOS = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".m2t", ".y4m", ".avi",
    ".mpg", ".mpeg", ".m2v", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf",
    ".dv", ".gif", ".apng", ".h264", ".264", ".avc", ".hevc", ".h265", ".265", ".obu", ".ivf",
    ".nut",
})  # fmt: skip

# Formats by name, with the suffixes of their files. A folder of raw files may hold previews, too;
# one of TIFF pages is a stack; what is left, FFmpeg judges by content.
READ = {"raw": RAW, "stacks": STACKS, "pictures": frozenset(PICTURES)}
READABLE = RAW | STACKS | frozenset(PICTURES) | VIDEOS  # in lower case and with their dot
