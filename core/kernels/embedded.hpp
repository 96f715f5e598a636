// What the build step embed_shaders writes, and the table of it all.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace pumice {

struct EmbeddedModule {
    std::string_view name;
    std::span<const std::uint32_t> words;
};
using EmbeddedModules = std::span<const EmbeddedModule>;

/// The modules of each shader file (generated: shaders/shaders.cmake).
std::span<const EmbeddedModules* const> embedded_shader_files();

}  // namespace pumice
