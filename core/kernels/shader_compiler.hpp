// GLSL to SPIR-V through shaderc: used by the build, by the reload-from-source option and for plugins' kernels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace pumice {

/// A shader file names its variants in lines that start with `//@`:
///   //@axis f32:ACT_F32 f16:ACT_F16       one alternative of each axis is taken; `name:DEFINE,DEFINE=VALUE`
///   //@axis exact:EXACT fast:             a define list may be empty
///   //@skip f16 exact                     no module for combinations that hold all these names
/// A module's name is the file's stem and the alternatives' names joined by dots: "matmul.f16.fast". A shader
/// without axes is one module named after the file.
struct ShaderVariant {
    std::string name;
    std::vector<std::pair<std::string, std::string>> defines;
};

Result<std::vector<ShaderVariant>> parse_shader_variants(const std::filesystem::path& file);

/// Compiles to optimized SPIR-V 1.5 (Vulkan 1.2). `#include "x.glsl"` is looked up in `include_folder`. The error
/// message holds shaderc's lines with file and line number. Code::unsupported when the installed shaderc does not
/// know a GLSL extension that the file requires.
Result<std::vector<std::uint32_t>> compile_shader(const std::filesystem::path& file, const ShaderVariant& variant,
                                                  const std::filesystem::path& include_folder);

/// Compiles a text to SPIR-V as above; `name` stands for its file in messages. `#include` finds nothing.
/// Code::bad_format with shaderc's lines.
Result<std::vector<std::uint32_t>> compile_glsl(const std::string& text, const std::string& name);

}  // namespace pumice
