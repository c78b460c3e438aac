"""Does a deployed system have what it needs?"""
