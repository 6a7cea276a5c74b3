"""Annotations of recordings, as other programs write and read them: one module a format, all in `formats.FORMATS`.

`reading` is what readers share, `media` finds the videos, `observations` and `state_events` turn logged events into
bouts of files, `text_files` and `xml_files` read whatever encoding and nesting comes.
"""
