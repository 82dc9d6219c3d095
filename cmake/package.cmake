# What is installed beside programs and libraries (manuals, completions, what a service needs), and the Debian packages: hokku, and
# hokku-cuda where the plugin was built. `./do package` makes them.

# Sanitized programs are for tests, and one for another machine cannot run here.
if(NOT HOKKU_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
	set(told ${CMAKE_CURRENT_BINARY_DIR}/told)
	add_custom_command(OUTPUT ${told}/stamp DEPENDS hokku ${PROJECT_SOURCE_DIR}/cmake/tell.sh ${PROJECT_SOURCE_DIR}/CHANGELOG.md VERBATIM
		COMMAND sh ${PROJECT_SOURCE_DIR}/cmake/tell.sh $<TARGET_FILE:hokku> ${told} ${PROJECT_SOURCE_DIR}/CHANGELOG.md
		COMMENT "manuals and completions")
	add_custom_target(hokku_told ALL DEPENDS ${told}/stamp)
	install(DIRECTORY ${told}/man1 DESTINATION share/man)
	install(FILES ${told}/hokku.bash DESTINATION share/bash-completion/completions RENAME hokku)
	install(FILES ${told}/hokku.zsh DESTINATION share/zsh/vendor-completions RENAME _hokku)
	install(FILES ${told}/hokku.fish DESTINATION share/fish/vendor_completions.d)
	install(FILES ${told}/changelog.gz ${told}/NEWS.gz DESTINATION share/doc/hokku)
endif()
install(FILES LICENSE DESTINATION share/doc/hokku RENAME copyright)

# The service: in packages alone, as it speaks of /usr/bin and /etc.
install(FILES packaging/systemd/hokku.service packaging/systemd/hokku.socket DESTINATION lib/systemd/system COMPONENT service EXCLUDE_FROM_ALL)
install(FILES packaging/systemd/hokku.default DESTINATION /etc/default RENAME hokku COMPONENT service EXCLUDE_FROM_ALL)
if(TARGET hokku_cuda)
	install(FILES packaging/systemd/cuda.conf DESTINATION lib/systemd/system/hokku.service.d COMPONENT cuda EXCLUDE_FROM_ALL)
	install(FILES LICENSE DESTINATION share/doc/hokku-cuda RENAME copyright COMPONENT cuda EXCLUDE_FROM_ALL)
	install(FILES ${told}/changelog.gz DESTINATION share/doc/hokku-cuda COMPONENT cuda EXCLUDE_FROM_ALL) # no plugin where sanitized
endif()

# cpack takes what is built; without this it would build all, tests too.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the hokku authors <hokku@localhost>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
	OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(control ${PROJECT_SOURCE_DIR}/packaging/debian)
set(CPACK_DEBIAN_MAIN_PACKAGE_NAME hokku)
set(CPACK_DEBIAN_MAIN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_MAIN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_MAIN_PACKAGE_SUGGESTS hokku-cuda)
set(CPACK_DEBIAN_MAIN_PACKAGE_CONTROL_EXTRA
	${control}/postinst ${control}/prerm ${control}/postrm ${control}/conffiles ${control}/triggers)
set(CPACK_COMPONENT_MAIN_DESCRIPTION "engine for language models: a command and an HTTP server
Runs language models from GGUF files on CPUs, and with hokku-cuda on
NVIDIA's GPUs. The server speaks the APIs of OpenAI, Anthropic, Ollama and
llama-server, and has a page to talk to it. A model that writes haiku is
inside.")
set(CPACK_DEBIAN_CUDA_PACKAGE_NAME hokku-cuda)
set(CPACK_DEBIAN_CUDA_PACKAGE_SECTION science)
set(CPACK_DEBIAN_CUDA_PACKAGE_DEPENDS "hokku (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_CUDA_PACKAGE_CONTROL_EXTRA ${control}/postinst) # the unit's drop-in is seen, an upgrade restarts the service
set(CPACK_COMPONENT_CUDA_DESCRIPTION "NVIDIA GPUs for hokku
The plugin that runs hokku's models on NVIDIA devices of compute capability
7.5 or later. It needs NVIDIA's driver.")
# What has no component of its own is the main package's, with the service.
set(CPACK_COMPONENTS_ALL Unspecified service)
if(TARGET hokku_cuda)
	list(APPEND CPACK_COMPONENTS_ALL cuda)
endif()
include(CPack)
cpack_add_component_group(main)
cpack_add_component(Unspecified GROUP main)
cpack_add_component(service GROUP main)
if(TARGET hokku_cuda)
	cpack_add_component_group(cuda)
	cpack_add_component(cuda GROUP cuda)
endif()
