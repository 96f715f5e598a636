#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/starter.hpp"
#include "cli/table.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Json = nlohmann::ordered_json;

/// 1234567 → "1,234,567".
std::string grouped(std::uint64_t number) {
    std::string text = fmt::to_string(number);
    for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
    return text;
}

std::string part(const Json& part) {
    // The summary begins with the part's name, which the table has in its own column.
    const std::string summary = part["summary"].get<std::string>();
    const std::size_t colon = summary.find(": ");
    return fmt::format("{:.1f} M parameters; {}", part["parameters"].get<double>() / 1e6,
                       colon == std::string::npos ? summary : summary.substr(colon + 2));
}

std::string types_text(const Json& dtypes) {
    std::string text;
    for (const auto& [name, sum] : dtypes.items()) {
        const auto tensors = sum["tensors"].get<std::uint64_t>();
        text += fmt::format("{}{} {} {}, {}", text.empty() ? "" : "; ", grouped(tensors), name,
                            tensors == 1 ? "tensor" : "tensors", size_text(sum["bytes"].get<std::uint64_t>()));
    }
    return text;
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
    constexpr double kKiB = 1024;
    const double size = static_cast<double>(bytes);
    if (size < 10 * kKiB) return fmt::format("{} bytes", bytes);
    if (size < 10 * kKiB * kKiB) return fmt::format("{:.0f} KiB", size / kKiB);
    if (size < kKiB * kKiB * kKiB) return fmt::format("{:.1f} MiB", size / (kKiB * kKiB));
    return fmt::format("{:.1f} GiB", size / (kKiB * kKiB * kKiB));
}

Expected<void> run_inspect(const Context& context) {
    HOST_ASSIGN(const auto file, find_model(context.line.file, context.settings));
    HOST_ASSIGN(const std::string text, inspect_file(file.string()));
    const Json json = Json::parse(text);
    if (context.line.json) {
        fmt::print("{}\n", json.dump(2));
        return {};
    }
    const auto bytes = json["bytes"].get<std::uint64_t>();
    std::vector<std::vector<std::string>> rows = {
        {"file", json["file"].get<std::string>()},
        {"size", fmt::format("{} ({} bytes)", size_text(bytes), grouped(bytes))},
        {"format", json["format"].get<std::string>()},
        {"sha256", json["sha256"].get<std::string>()},
        {"family", json["family"].get<std::string>()},
        {"tensors", types_text(json["dtypes"])}};
    if (const Json& geometry = json["geometry"]; !geometry.is_null()) {
        rows.push_back({"unet", part(geometry["unet"])});
        rows.push_back({"vae", part(geometry["vae"])});
        for (const Json& encoder : geometry["text"]) rows.push_back({"text", part(encoder)});
        const std::string predicts = geometry["prediction"] == "v" ? "v" : "noise (eps)";
        rows.push_back({"predicts", predicts + (geometry["zero_terminal_snr"] ? ", from pure noise" : "")});
    }
    fmt::print("{}", table_text(std::move(rows)));
    return {};
}

}  // namespace pumice::cli
