"""Recorded exchanges that a person can read in a diff.

- `format`: one cassette as text and back; `scan`: what may never be in one; `matchers`: when a request is the recorded
  one
- `playback`: a cassette in a `with`; `plugin`: the same for tests marked `vcr`, through pytest-recording
- `shapes`: keys and types of JSON and of event streams, and their difference
"""
