"""Video files and pipes: everything that FFmpeg demuxes, through PyAV."""
