"""The nouns that every package uses: records, columns, recipe, manifest, events, errors."""
