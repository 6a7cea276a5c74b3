"""The page of `lrcn demo`: a video or picture in, what a model says of it to look at and to download."""
