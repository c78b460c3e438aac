"""Where does a platform come from? See `push_dispatch.platforms.registry`."""
