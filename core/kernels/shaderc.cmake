# The target pumice_shaderc. Debian 12's libshaderc.so leaves glslang's symbols undefined, and its static library holds
# shaderc alone: there the archives of glslang and SPIRV-Tools complete it.
include(CheckCXXSourceCompiles)

add_library(pumice_shaderc INTERFACE)
function(pumice_try_shaderc variable)
  set(CMAKE_REQUIRED_LIBRARIES ${ARGN} Threads::Threads)
  check_cxx_source_compiles("#include <shaderc/shaderc.hpp>
    int main() { shaderc::Compiler compiler; return compiler.IsValid() ? 0 : 1; }" ${variable})
  if(${variable})
    target_link_libraries(pumice_shaderc INTERFACE ${ARGN} Threads::Threads)
  endif()
endfunction()

pumice_try_shaderc(PUMICE_SHADERC_SHARED shaderc)
if(NOT PUMICE_SHADERC_SHARED)
  pumice_try_shaderc(PUMICE_SHADERC_COMBINED shaderc_combined)
  if(NOT PUMICE_SHADERC_COMBINED)
    pumice_try_shaderc(PUMICE_SHADERC_ARCHIVES -Wl,--start-group shaderc_combined glslang MachineIndependent
                       GenericCodeGen OSDependent OGLCompiler SPIRV SPIRV-Tools-opt SPIRV-Tools -Wl,--end-group)
    if(NOT PUMICE_SHADERC_ARCHIVES)
      message(FATAL_ERROR "libshaderc is missing or does not link. Install libshaderc-dev, glslang-dev and spirv-tools.")
    endif()
  endif()
endif()
