# Packages of plugins, a part of what the program needs beside the engine: libarchive reads and writes them, libsodium
# signs them.
pkg_check_modules(libsodium REQUIRED IMPORTED_TARGET libsodium)

file(GLOB package_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/package*.cpp
                                            ${CMAKE_CURRENT_LIST_DIR}/signature*.cpp
                                            ${CMAKE_CURRENT_LIST_DIR}/install*.cpp)
target_sources(pumice_frontend PRIVATE ${package_sources})
target_link_libraries(pumice_frontend PUBLIC pumice_sdk PRIVATE PkgConfig::libarchive PkgConfig::libsodium)
