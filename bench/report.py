def write(medians, docs):
    import json
    print(json.dumps(medians, indent=1))
