"""The main job in both frameworks, in one command: ``python -m hubmix.demo`` or ``make demo``.

Without a key it runs on the embedded hub, a real server on this machine whose models are rules without intelligence;
with a key it does the same on the hub.
"""
