"""What sections of the settings are made of: field types, the base of a section, and what a broken rule says.

Rooms that bring settings of their own (kinds of gateways and providers) build them from here; `daemon/config` puts all
sections together. May import `actors` alone.
"""
