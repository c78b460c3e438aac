"""What do people ask? Read models: nothing here changes anything."""
