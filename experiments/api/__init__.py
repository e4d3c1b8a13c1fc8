"""The Python API: what `import goalmaze as gm` exports."""
