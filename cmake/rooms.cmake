# What single rooms need beyond room(): compile flags of single files, generated or embedded data.

# cpu/ draws tokens with the sampler that stands beside the door, in compute/.
target_link_libraries(hokku_compute_cpu PUBLIC hokku_compute)
