#include "config/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "config/suggest.hpp"
#include "outcome.hpp"

namespace pumice::host {
namespace {

using Kind = Setting::Kind;

std::vector<std::string_view> precisions() {
    return {"auto", "fp16", "fp32", "exact"};
}
std::vector<std::string_view> emphases() {
    return {"original", "no-norm"};
}
std::vector<std::string_view> generators() {
    return {"torch-cpu", "philox"};
}

std::vector<std::string_view> predictions() {
    return {"auto", "eps", "v", "v-zero-snr"};
}
std::vector<std::string_view> resize_modes() {
    return {"stretch", "crop", "fill"};
}
std::vector<std::string_view> axes() {
    return {"none", "x", "y", "both"};
}
std::vector<std::string_view> mask_fills() {
    return {"original", "fill", "noise", "nothing"};
}

using S = Settings;
const std::array kSettings = {
    Setting{"device", "--device", "PUMICE_DEVICE", &S::device, Kind::text},
    Setting{"precision", "--precision", "PUMICE_PRECISION", &S::precision, Kind::choice, 0, 0, 1, precisions},
    Setting{"memory", "--memory", "PUMICE_MEMORY", &S::memory, Kind::bytes, 1 << 20, double(std::uint64_t(1) << 50)},
    Setting{"generate.model", "--model", "PUMICE_MODEL", &S::model, Kind::path},
    Setting{"generate.vae", "--vae", "", &S::vae, Kind::path},
    Setting{"generate.text_encoder", "--text-encoder", "", &S::text_encoder, Kind::path},
    Setting{"generate.negative_prompt", "--negative", "", &S::negative_prompt, Kind::text},
    Setting{"generate.width", "--width", "", &S::width, Kind::whole, 64, 16384, 8},
    Setting{"generate.height", "--height", "", &S::height, Kind::whole, 64, 16384, 8},
    Setting{"generate.steps", "--steps", "", &S::steps, Kind::whole, 1, 1000},
    Setting{"generate.cfg", "--cfg", "", &S::cfg, Kind::real, 0, 100},
    Setting{"generate.sampler", "--sampler", "", &S::sampler, Kind::name},
    Setting{"generate.schedule", "--schedule", "", &S::schedule, Kind::name},
    Setting{"generate.guidance", "--guidance", "", &S::guidance, Kind::name},
    Setting{"generate.seed", "--seed", "", &S::seed, Kind::seed},
    Setting{"generate.variation_seed", "--variation-seed", "", &S::variation_seed, Kind::seed},
    Setting{"generate.variation_strength", "--variation-strength", "", &S::variation_strength, Kind::real, 0, 1},
    Setting{"generate.seed_width", "--seed-width", "", &S::seed_width, Kind::whole, 64, 16384, 8},
    Setting{"generate.seed_height", "--seed-height", "", &S::seed_height, Kind::whole, 64, 16384, 8},
    Setting{"generate.eta_seed_delta", "--ensd", "", &S::eta_seed_delta, Kind::whole, 0, 4294967295.0},
    Setting{"generate.seamless", "--seamless", "", &S::seamless, Kind::choice, 0, 0, 1, axes},
    Setting{"generate.tile", "--tile", "", &S::tile, Kind::text},
    Setting{"generate.tile_overlap", "--tile-overlap", "", &S::tile_overlap, Kind::whole, 0, 8192, 8},
    Setting{"generate.stop_at", "--stop-at", "", &S::stop_at, Kind::whole, 1, 2000},
    Setting{"generate.rng", "--rng", "", &S::rng, Kind::choice, 0, 0, 1, generators},
    Setting{"generate.batch", "--batch", "", &S::batch, Kind::whole, 1, 64},
    Setting{"generate.count", "--count", "", &S::count, Kind::whole, 1, 10000},
    Setting{"generate.clip_skip", "--clip-skip", "", &S::clip_skip, Kind::whole, 1, 64},
    Setting{"generate.prediction", "--prediction", "", &S::prediction, Kind::choice, 0, 0, 1, predictions},
    Setting{"generate.strength", "--strength", "", &S::strength, Kind::real, 0, 1},
    Setting{"generate.resize_mode", "--resize-mode", "", &S::resize_mode, Kind::choice, 0, 0, 1, resize_modes},
    Setting{"generate.mask_blur", "--mask-blur", "", &S::mask_blur, Kind::real, 0, 64},
    Setting{"generate.mask_fill", "--mask-fill", "", &S::mask_fill, Kind::choice, 0, 0, 1, mask_fills},
    Setting{"generate.mask_padding", "--mask-padding", "", &S::mask_padding, Kind::whole, 0, 4096},
    Setting{"generate.image_cfg", "--image-cfg", "", &S::image_cfg, Kind::real, 0, 100},
    Setting{"generate.hires", "--hires", "", &S::hires, Kind::real, 1, 8},
    Setting{"generate.hires_steps", "--hires-steps", "", &S::hires_steps, Kind::whole, 1, 1000},
    Setting{"generate.hires_strength", "--hires-strength", "", &S::hires_strength, Kind::real, 0, 1},
    Setting{"generate.hires_sampler", "--hires-sampler", "", &S::hires_sampler, Kind::text},
    Setting{"generate.hires_upscaler", "--hires-upscaler", "", &S::hires_upscaler, Kind::text},
    Setting{"generate.hires_model", "--hires-model", "", &S::hires_model, Kind::path},
    Setting{"generate.refiner", "--refiner", "", &S::refiner, Kind::path},
    Setting{"generate.refiner_switch", "--refiner-switch", "", &S::refiner_switch, Kind::real, 0, 1},
    Setting{"generate.original_width", "--original-width", "", &S::original_width, Kind::whole, 1, 65536},
    Setting{"generate.original_height", "--original-height", "", &S::original_height, Kind::whole, 1, 65536},
    Setting{"generate.crop_left", "--crop-left", "", &S::crop_left, Kind::whole, 0, 65536},
    Setting{"generate.crop_top", "--crop-top", "", &S::crop_top, Kind::whole, 0, 65536},
    Setting{"generate.target_width", "--target-width", "", &S::target_width, Kind::whole, 1, 65536},
    Setting{"generate.target_height", "--target-height", "", &S::target_height, Kind::whole, 1, 65536},
    Setting{"generate.aesthetic_score", "--aesthetic-score", "", &S::aesthetic_score, Kind::real, 0, 10},
    Setting{"generate.negative_aesthetic_score", "--negative-aesthetic-score", "", &S::negative_aesthetic_score,
            Kind::real, 0, 10},
    Setting{"generate.emphasis", "--emphasis", "", &S::emphasis, Kind::choice, 0, 0, 1, emphases},
    Setting{"paths.models", "", "PUMICE_MODELS", &S::models_folders, Kind::paths},
    Setting{"paths.loras", "--lora-folder", "", &S::loras_folder, Kind::path},
    Setting{"paths.embeddings", "--embedding-folder", "", &S::embeddings_folder, Kind::path},
    Setting{"paths.styles", "--styles-file", "", &S::styles_file, Kind::path},
    Setting{"paths.wildcards", "--wildcards", "", &S::wildcards_folder, Kind::path},
    Setting{"paths.output", "", "PUMICE_OUTPUT", &S::output_folder, Kind::path},
    Setting{"paths.cache", "", "PUMICE_CACHE", &S::cache_folder, Kind::path},
    Setting{"paths.plugins", "", "", &S::plugins_folder, Kind::path},
};

Failure wrong(const Setting& setting, std::string_view value, const std::string& where) {
    std::string hint;
    if (setting.kind == Kind::choice) hint = did_you_mean(value, setting.choices());
    return {PUMICE_INVALID_ARGUMENT, fmt::format("{}: {} is not {}{}", where, shown(value), wanted(setting), hint)};
}

/// The whole text as a number.
template <class T>
std::optional<T> number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

Expected<void> set_whole(Settings& settings, const Setting& setting, std::optional<std::uint64_t> value,
                         std::string_view text, const std::string& where) {
    if (!value || double(*value) < setting.least || double(*value) > setting.most || *value % setting.multiple != 0)
        return wrong(setting, text, where);
    settings.*std::get<std::optional<std::uint64_t> Settings::*>(setting.member) = value;
    return {};
}

/// "3GiB", "900 MB", "1.5G", or bytes.
std::optional<std::uint64_t> bytes_of(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    constexpr double k2 = 1024, k10 = 1000;
    const std::pair<std::string_view, double> units[] = {
        {"", 1},          {"B", 1},         {"KiB", k2},           {"MiB", k2 * k2}, {"GiB", k2 * k2 * k2},
        {"kB", k10},      {"KB", k10},      {"MB", k10 * k10},     {"GB", k10 * k10 * k10},
        {"K", k2},        {"M", k2 * k2},   {"G", k2 * k2 * k2}};
    for (const auto& [name, factor] : units)
        if (unit == name && value >= 0 && value * factor < double(std::uint64_t(1) << 60))
            return static_cast<std::uint64_t>(value * factor);
    return std::nullopt;
}

Expected<void> set_real(Settings& settings, const Setting& setting, std::optional<double> value, std::string_view text,
                        const std::string& where) {
    if (!value || !(*value >= setting.least && *value <= setting.most)) return wrong(setting, text, where);
    settings.*std::get<std::optional<double> Settings::*>(setting.member) = value;
    return {};
}

Expected<void> set_string(Settings& settings, const Setting& setting, std::string_view text, const std::string& where) {
    if (setting.kind == Kind::path && text.empty()) return wrong(setting, text, where);
    if (setting.kind == Kind::choice) {
        const auto choices = setting.choices();
        if (std::find(choices.begin(), choices.end(), text) == choices.end()) return wrong(setting, text, where);
    }
    if (setting.kind == Kind::name) {
        if (text.empty()) return wrong(setting, text, where);
        (setting.key == "generate.sampler"    ? settings.sampler_from
         : setting.key == "generate.schedule" ? settings.schedule_from
                                              : settings.guidance_from) = where;
    }
    settings.*std::get<std::optional<std::string> Settings::*>(setting.member) = std::string(text);
    return {};
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t colon = text.find(':');
        if (colon != 0 && !text.empty()) parts.emplace_back(text.substr(0, colon));
        if (colon == std::string_view::npos) return parts;
        text.remove_prefix(colon + 1);
    }
}

Expected<void> set_paths(Settings& settings, const Setting& setting, const std::vector<std::string>& paths,
                         const std::string& where) {
    for (const std::string& path : paths)
        if (path.empty()) return wrong(setting, path, where);
    settings.*std::get<std::optional<std::vector<std::string>> Settings::*>(setting.member) = paths;
    return {};
}

}  // namespace

std::string shown(std::string_view text) {
    constexpr std::size_t kMost = 80;
    if (text.empty()) return "\"\"";
    std::string line(text.substr(0, kMost));
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return text.size() > kMost ? line + "…" : line;
}

std::span<const Setting> all_settings() {
    return kSettings;
}

const Setting* find_flag(std::string_view flag) {
    const auto found =
        std::find_if(kSettings.begin(), kSettings.end(), [&](const Setting& s) { return s.flag == flag; });
    return found == kSettings.end() || flag.empty() ? nullptr : &*found;
}

std::string wanted(const Setting& setting) {
    switch (setting.kind) {
        case Kind::text:
            return "a text";
        case Kind::path:
            return "a path";
        case Kind::paths:
            return "a path or a list of paths";
        case Kind::name:
            return "a name that pumice plugins list shows";
        case Kind::choice:
            return fmt::format("one of {}", fmt::join(setting.choices(), ", "));
        case Kind::whole:
            if (setting.multiple > 1)
                return fmt::format("a multiple of {} from {} to {}", setting.multiple, setting.least, setting.most);
            return fmt::format("a whole number from {} to {}", setting.least, setting.most);
        case Kind::real:
            return fmt::format("a number from {} to {}", setting.least, setting.most);
        case Kind::seed:
            return "a whole number from 0 to 18446744073709551615, or random";
        case Kind::bytes:
            return "a size of 1 MiB or more, as 3GiB, 900MiB or 1.5GB";
    }
    return {};
}

Expected<void> set_from_text(Settings& settings, const Setting& setting, std::string_view text,
                             const std::string& where) {
    switch (setting.kind) {
        case Kind::whole:
            return set_whole(settings, setting, number<std::uint64_t>(text), text, where);
        case Kind::real:
            return set_real(settings, setting, number<double>(text), text, where);
        case Kind::seed: {
            if (text == "random" || text == "-1") return {};
            const auto value = number<std::uint64_t>(text);
            if (!value) return wrong(setting, text, where);
            settings.*std::get<std::optional<std::uint64_t> Settings::*>(setting.member) = value;
            return {};
        }
        case Kind::bytes:
            return set_whole(settings, setting, bytes_of(text), text, where);
        case Kind::paths:
            return set_paths(settings, setting, split(text), where);
        case Kind::text:
        case Kind::path:
        case Kind::choice:
        case Kind::name:
            return set_string(settings, setting, text, where);
    }
    return {};
}

Expected<void> set_value(Settings& settings, const Setting& setting, const SettingValue& value,
                         const std::string& where) {
    const auto* text = std::get_if<std::string>(&value);
    const auto* list = std::get_if<std::vector<std::string>>(&value);
    if (setting.kind == Kind::paths && list) return set_paths(settings, setting, *list, where);
    if (setting.kind == Kind::paths && text) return set_paths(settings, setting, {*text}, where);
    const auto* whole = std::get_if<std::int64_t>(&value);
    const auto* real = std::get_if<double>(&value);
    const bool takes_text = setting.kind == Kind::text || setting.kind == Kind::path || setting.kind == Kind::choice ||
                            setting.kind == Kind::name;
    if (takes_text && text) return set_string(settings, setting, *text, where);
    if (setting.kind == Kind::seed && (whole || (text && *text == "random")))
        return set_from_text(settings, setting, text ? *text : fmt::to_string(*whole), where);
    if (setting.kind == Kind::bytes && (text || whole))
        return set_from_text(settings, setting, text ? *text : fmt::to_string(*whole), where);
    if (setting.kind == Kind::whole && whole) return set_from_text(settings, setting, fmt::to_string(*whole), where);
    if (setting.kind == Kind::real && (whole || real)) {
        const double number = whole ? double(*whole) : *real;
        return set_real(settings, setting, number, fmt::format("{}", number), where);
    }
    const char* type = text ? "a string" : list ? "a list" : whole ? "a whole number" : "a number with a fraction";
    return Failure{PUMICE_INVALID_ARGUMENT,
                   fmt::format("{}: this is {}, but must be {}", where, type, wanted(setting))};
}

Settings overlay(const Settings& over, const Settings& under) {
    Settings result = under;
    for (const Setting& setting : kSettings)
        std::visit(
            [&](auto member) {
                if (over.*member) result.*member = over.*member;
            },
            setting.member);
    if (over.sampler) result.sampler_from = over.sampler_from;
    if (over.schedule) result.schedule_from = over.schedule_from;
    if (over.guidance) result.guidance_from = over.guidance_from;
    for (const auto& [key, value] : over.plugin_params) result.plugin_params[key] = value;
    for (const auto& [key, value] : over.given_plugin_params) result.given_plugin_params[key] = value;
    return result;
}

Expected<Settings> settings_from_environment(const char* (*get)(const char*)) {
    Settings settings;
    for (const Setting& setting : kSettings) {
        if (setting.environment.empty()) continue;
        const char* value = get(std::string(setting.environment).c_str());
        if (value && *value) HOST_TRY(set_from_text(settings, setting, value, std::string(setting.environment)));
    }
    return settings;
}

std::string expand_home(const std::string& path, const std::string& home) {
    if (home.empty() || path.empty() || path[0] != '~' || (path.size() > 1 && path[1] != '/')) return path;
    return home + path.substr(1);
}

}  // namespace pumice::host
