# Every shaders/*.comp becomes SPIR-V modules in one C++ source, through the program embed_shaders.
add_executable(embed_shaders ${CMAKE_SOURCE_DIR}/shaders/embed_shaders.cpp)
target_link_libraries(embed_shaders PRIVATE pumice_shader_compiler)
find_program(SPIRV_VAL spirv-val REQUIRED)

file(GLOB shader_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/*.comp)
file(GLOB shader_includes CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/include/*.glsl)
set(PUMICE_EMBEDDED_SHADERS)
foreach(shader IN LISTS shader_files)
  get_filename_component(stem ${shader} NAME_WE)
  set(output ${CMAKE_BINARY_DIR}/shaders/${stem}.cpp)
  add_custom_command(
    OUTPUT ${output}
    COMMAND embed_shaders ${shader} ${CMAKE_SOURCE_DIR}/shaders/include ${SPIRV_VAL} ${output}
    DEPENDS embed_shaders ${shader} ${shader_includes}
    COMMENT "Compiling shader ${stem}.comp"
    VERBATIM)
  list(APPEND PUMICE_EMBEDDED_SHADERS ${output})
endforeach()

# The list of the files' tables.
set(declarations)
set(entries)
foreach(shader IN LISTS shader_files)
  get_filename_component(stem ${shader} NAME_WE)
  string(APPEND declarations "extern const EmbeddedModules shaders_${stem};\n")
  string(APPEND entries "&shaders_${stem}, ")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/shaders/files.cpp @ONLY CONTENT
"#include \"kernels/embedded.hpp\"

namespace pumice {
@declarations@
std::span<const EmbeddedModules* const> embedded_shader_files() {
    static const EmbeddedModules* const files[] = {@entries@};
    return files;
}
}  // namespace pumice
")
list(APPEND PUMICE_EMBEDDED_SHADERS ${CMAKE_BINARY_DIR}/shaders/files.cpp)
