def run(checks): pass
