#include "kernels/shader_compiler.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>

#include <shaderc/shaderc.hpp>

namespace pumice {
namespace {

Result<std::string> read_text(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return Error{Code::not_found, "cannot open shader " + file.string()};
    return std::string(std::istreambuf_iterator<char>(in), {});
}

/// Looks `#include "x.glsl"` up in one folder and keeps the text alive until shaderc releases it.
class FolderIncluder : public shaderc::CompileOptions::IncluderInterface {
public:
    explicit FolderIncluder(std::filesystem::path folder) : folder_(std::move(folder)) {}

    shaderc_include_result* GetInclude(const char* requested, shaderc_include_type, const char*, size_t) override {
        auto* held = new Held;
        held->path = (folder_ / requested).string();
        auto text = read_text(held->path);
        if (text) held->text = *std::move(text);
        else held->text = text.error().message;
        // An empty source name tells shaderc that the content is an error message.
        held->result = {text ? held->path.c_str() : "", text ? held->path.size() : 0, held->text.c_str(),
                        held->text.size(), held};
        return &held->result;
    }
    void ReleaseInclude(shaderc_include_result* result) override { delete static_cast<Held*>(result->user_data); }

private:
    struct Held {
        std::string path, text;
        shaderc_include_result result{};
    };
    std::filesystem::path folder_;
};

struct Axis {
    std::vector<ShaderVariant> alternatives;
};

ShaderVariant parse_alternative(const std::string& word) {
    ShaderVariant alternative;
    const auto colon = word.find(':');
    alternative.name = word.substr(0, colon);
    if (colon == std::string::npos) return alternative;
    std::stringstream defines(word.substr(colon + 1));
    for (std::string define; std::getline(defines, define, ',');) {
        if (define.empty()) continue;
        const auto equals = define.find('=');
        alternative.defines.emplace_back(define.substr(0, equals),
                                         equals == std::string::npos ? "1" : define.substr(equals + 1));
    }
    return alternative;
}

bool skipped(const std::vector<std::string>& names, const std::vector<std::vector<std::string>>& skips) {
    return std::any_of(skips.begin(), skips.end(), [&](const auto& skip) {
        return std::all_of(skip.begin(), skip.end(), [&](const auto& name) {
            return std::find(names.begin(), names.end(), name) != names.end();
        });
    });
}

shaderc::CompileOptions compile_options() {
    shaderc::CompileOptions options;
    options.SetTargetEnvironment(shaderc_target_env_vulkan, shaderc_env_version_vulkan_1_2);
    options.SetTargetSpirv(shaderc_spirv_version_1_5);
    options.SetSourceLanguage(shaderc_source_language_glsl);
    options.SetOptimizationLevel(shaderc_optimization_level_performance);
    return options;
}

Result<std::vector<std::uint32_t>> compile(const std::string& text, const std::string& name,
                                           const shaderc::CompileOptions& options) {
    const shaderc::Compiler compiler;
    const auto result = compiler.CompileGlslToSpv(text, shaderc_compute_shader, name.c_str(), options);
    if (result.GetCompilationStatus() != shaderc_compilation_status_success) {
        std::string message = result.GetErrorMessage();
        const bool extension = message.find("extension not supported") != std::string::npos;
        return Error{extension ? Code::unsupported : Code::bad_format, std::move(message)};
    }
    return std::vector<std::uint32_t>(result.cbegin(), result.cend());
}

}  // namespace

Result<std::vector<ShaderVariant>> parse_shader_variants(const std::filesystem::path& file) {
    PUMICE_ASSIGN(const std::string text, read_text(file));
    std::vector<Axis> axes;
    std::vector<std::vector<std::string>> skips;
    std::istringstream lines(text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        if (line.rfind("//@", 0) != 0) continue;
        std::istringstream words(line.substr(3));
        std::string keyword;
        words >> keyword;
        const std::vector<std::string> arguments(std::istream_iterator<std::string>(words), {});
        if (keyword == "axis" && !arguments.empty()) {
            Axis axis;
            for (const auto& word : arguments) axis.alternatives.push_back(parse_alternative(word));
            axes.push_back(std::move(axis));
        } else if (keyword == "skip" && !arguments.empty()) {
            skips.push_back(arguments);
        } else {
            return Error{Code::bad_format, file.string() + ":" + std::to_string(number) +
                                               ": expected '//@axis name:DEFINE …' or '//@skip name …'"};
        }
    }

    // The cross product, last axis fastest.
    struct Partial {
        std::vector<std::string> names;
        ShaderVariant variant;
    };
    std::vector<Partial> partials{{{}, {file.stem().string(), {}}}};
    for (const auto& axis : axes) {
        std::vector<Partial> next;
        for (const auto& partial : partials) {
            for (const auto& alternative : axis.alternatives) {
                Partial p = partial;
                p.names.push_back(alternative.name);
                p.variant.name += "." + alternative.name;
                p.variant.defines.insert(p.variant.defines.end(), alternative.defines.begin(),
                                         alternative.defines.end());
                next.push_back(std::move(p));
            }
        }
        partials = std::move(next);
    }
    std::vector<ShaderVariant> variants;
    for (auto& partial : partials)
        if (!skipped(partial.names, skips)) variants.push_back(std::move(partial.variant));
    return variants;
}

Result<std::vector<std::uint32_t>> compile_shader(const std::filesystem::path& file, const ShaderVariant& variant,
                                                  const std::filesystem::path& include_folder) {
    PUMICE_ASSIGN(const std::string text, read_text(file));
    shaderc::CompileOptions options = compile_options();
    options.SetWarningsAsErrors();
    options.SetIncluder(std::make_unique<FolderIncluder>(include_folder));
    for (const auto& [name, value] : variant.defines) options.AddMacroDefinition(name, value);
    auto words = compile(text, file.string(), options);
    if (!words) words.error().message = variant.name + ":\n" + words.error().message;
    return words;
}

Result<std::vector<std::uint32_t>> compile_glsl(const std::string& text, const std::string& name) {
    return compile(text, name, compile_options());
}

}  // namespace pumice
