#include "plugins/package_new.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/suggest.hpp"
#include "image/atomic_file.hpp"
#include "outcome.hpp"
#include "plugins/install.hpp"
#include "plugins/package_templates.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

/// What the files of sdk/template are filled with, beside the name.
struct Kind {
    std::string_view kind, id, macro;
    std::string_view what, does;   ///< "a sampler"; what it does as it stands
    std::string_view includes;     ///< of the SDK's extensions, separated by spaces
    std::string_view fields = {};  ///< of an instance
};
constexpr Kind kKinds[] = {
    {"sampler", "pumice.sampler/1", "PUMICE_SAMPLER_1", "a sampler", "Euler's method with a factor on each step",
     "progress sampler tensor"},
    {"guidance", "pumice.guidance/1", "PUMICE_GUIDANCE_1", "a method of guidance",
     "classifier-free guidance with a factor on its scale", "guidance tensor"},
    {"schedule", "pumice.schedule/1", "PUMICE_SCHEDULE_1", "a schedule",
     "a power of the way from the highest level to the lowest", "math schedule"},
    {"control", "pumice.control/1", "PUMICE_CONTROL_1", "a control network",
     "one layer from the picture to the UNet's first block", "control graph weights",
     "    pumice_weight weight, bias;\n"},
    {"preprocessor", "pumice.preprocessor/1", "PUMICE_PREPROCESSOR_1", "a preprocessor",
     "edges, as far as neighbours differ", "image preprocessor"},
    {"upscaler", "pumice.upscaler/1", "PUMICE_UPSCALER_1", "an upscaler", "each pixel becomes a square",
     "graph image progress upscaler"},
    {"image_filter", "pumice.image_filter/1", "PUMICE_IMAGE_FILTER_1", "an image filter", "the corners become darker",
     "image image_filter"},
};
constexpr auto kKindNames = [] {
    std::array<std::string_view, std::size(kKinds)> names;
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = kKinds[i].kind;
    return names;
}();

bool is_name(const std::string& name) {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    return !name.empty() && name.size() <= 32 && name[0] >= 'a' && name[0] <= 'z' &&
           std::all_of(name.begin(), name.end(), fits);
}

std::string includes(const Kind& kind) {
    std::string lines;
    for (std::string_view rest = kind.includes; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find(' '));
        lines += fmt::format("#include \"pumice/sdk/ext/{}.h\"\n", one);
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    }
    return lines;
}

std::string filled(std::string_view form, const std::string& name, const Kind& kind) {
    std::string text(form);
    // The body first: it has names of its own to be filled.
    const std::pair<std::string_view, std::string> values[] = {
        {"@BODY@", std::string(project_template(std::string(kind.kind) + ".c"))},
        {"@INCLUDES@", includes(kind)},
        {"@FIELDS@", std::string(kind.fields)},
        {"@NAME@", name},
        {"@PLATFORM@", std::string(host_platform())},
        {"@SDK@", std::to_string(kSdkRevision)},
        {"@EXTENSION@", std::string(kind.id)},
        {"@ID@", std::string(kind.macro)},
        {"@A@", std::string(kind.what)},
        {"@DOES@", std::string(kind.does)}};
    for (const auto& [key, value] : values)
        for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + value.size()))
            text.replace(at, key.size(), value);
    return text;
}

}  // namespace

std::span<const std::string_view> project_kinds() {
    return kKindNames;
}

Packaged<Done> write_project(const fs::path& parent, const std::string& name, const std::string& kind) {
    if (!is_name(name))
        return Failure{PUMICE_INVALID_ARGUMENT, fmt::format("{} is no name for a plugin: a lower-case letter, then "
                                                            "those, digits and '_', at most 32",
                                                            printable(name))};
    const auto found =
        std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.kind == kind; });
    if (found == std::end(kKinds))
        return Failure{PUMICE_INVALID_ARGUMENT,
                       fmt::format("--kind: {} is not one of {}{}", printable(kind), fmt::join(kKindNames, ", "),
                                   did_you_mean(kind, kKindNames))};
    const fs::path folder = parent / name;
    if (::mkdir(folder.c_str(), 0777) != 0)
        return Failure{PUMICE_IO, fmt::format("cannot make the folder {}: {}", folder.string(), std::strerror(errno))};
    const std::pair<std::string, std::string_view> files[] = {{"CMakeLists.txt", "CMakeLists.txt"},
                                                              {"plugin.toml", "plugin.toml"},
                                                              {"LICENSE", "LICENSE"},
                                                              {name + ".c", "plugin.c"}};
    for (const auto& [file, form] : files) {
        const std::string text = filled(project_template(form), name, *found);
        HOST_TRY(write_file(folder / file, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                            Existing::replace));
    }
    return Done{};
}

}  // namespace pumice::host
