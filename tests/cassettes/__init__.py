"""Recorded exchanges: written so that a person can read them in a diff, and so that a changed byte or a key is found.

- `format`: one cassette as text and back; `scan`: what may never be in one; `matchers`: when a request is the recorded
  one
- `playback`: a cassette in a `with`; `plugin`: the same for tests marked `vcr`, through pytest-recording
- `shapes`: keys and types of JSON and of event streams, and their difference
"""
