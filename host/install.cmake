# cmake --install: the program, the library with its headers, the CMake package `Pumice` and `pumice.pc`.
include(CMakePackageConfigHelpers)

install(TARGETS pumice_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS pumice EXPORT PumiceTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
                                            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
                                            RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS pumice_probe pumice_verify RUNTIME DESTINATION ${CMAKE_INSTALL_LIBDIR}/pumice)
install(DIRECTORY include/pumice DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(DIRECTORY assets/ DESTINATION ${CMAKE_INSTALL_DATADIR}/pumice)
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PUMICE_VOCABULARY_DIR}/node_modules/entities/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.entities)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Pumice)
install(EXPORT PumiceTargets NAMESPACE Pumice:: DESTINATION ${package_folder})
configure_package_config_file(PumiceConfig.cmake.in PumiceConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(PumiceConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/PumiceConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/PumiceConfigVersion.cmake
        DESTINATION ${package_folder})

# pumice.pc finds its prefix from where it lies, so an installed tree can be moved.
file(RELATIVE_PATH PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(pumice.pc.in pumice.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pumice.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
