# What single rooms need beyond room(): compile flags of single files, generated or embedded data.
