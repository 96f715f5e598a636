# Packages of plugins, a part of what the program needs beside the engine: libarchive reads and writes them, libsodium
# signs them.
pkg_check_modules(libsodium REQUIRED IMPORTED_TARGET libsodium)

# What `pumice plugins new` writes.
file(GLOB template_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sdk/template/*.in)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${template_files})
set(template_lines)
foreach(file IN LISTS template_files)
  get_filename_component(name ${file} NAME_WLE)
  file(READ ${file} text)
  string(APPEND template_lines "    if (name == \"${name}\") return R\"TEMPLATE(${text})TEMPLATE\";\n")
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/package_templates.cpp.in ${CMAKE_CURRENT_BINARY_DIR}/generated/package_templates.cpp
               @ONLY)

file(GLOB package_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/package*.cpp
                                            ${CMAKE_CURRENT_LIST_DIR}/signature*.cpp
                                            ${CMAKE_CURRENT_LIST_DIR}/install*.cpp)
target_sources(pumice_frontend PRIVATE ${package_sources} ${CMAKE_CURRENT_BINARY_DIR}/generated/package_templates.cpp)
target_link_libraries(pumice_frontend PUBLIC pumice_sdk PRIVATE PkgConfig::libarchive PkgConfig::libsodium)
