// What a user can set, once for command line, environment and configuration file: names, types, limits and the words
// that say what is wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pumice/pumice.hpp"

namespace pumice::host {

/// Empty: not set here.
struct Settings {
    std::optional<std::string> device, precision;
    std::optional<std::string> model, vae, text_encoder, negative_prompt, sampler, schedule, guidance, rng;
    std::optional<std::uint64_t> seed;  ///< "random" and -1 leave it empty
    std::optional<std::uint64_t> width, height, steps, batch, clip_skip;
    std::optional<std::uint64_t> memory;  ///< bytes
    std::optional<double> cfg;
    std::optional<std::string> prediction, refiner, resize_mode, mask_fill;
    std::optional<std::string> hires_sampler, hires_upscaler, hires_model;
    std::optional<double> hires, hires_strength;
    std::optional<std::uint64_t> hires_steps;
    std::optional<double> strength, mask_blur, image_cfg, refiner_switch, aesthetic_score, negative_aesthetic_score;
    std::optional<double> variation_strength;
    std::optional<std::uint64_t> variation_seed, seed_width, seed_height, eta_seed_delta;
    std::optional<std::string> seamless, tile;
    std::optional<std::uint64_t> tile_overlap, stop_at, count;
    std::optional<std::uint64_t> mask_padding, original_width, original_height, crop_left, crop_top, target_width,
        target_height;
    std::optional<std::string> loras_folder, embeddings_folder, styles_file, wildcards_folder;
    std::optional<std::string> emphasis, output_folder, cache_folder, plugins_folder;
    std::optional<std::vector<std::string>> models_folders;
    /// Parameters of plugins by key ("sampler.eta"): of the file, and of the command line.
    std::map<std::string, std::string> plugin_params, given_plugin_params;
    /// Where the sampler, the schedule and the guidance were set, for messages: names are checked when the plugins are
    /// known.
    std::string sampler_from, schedule_from, guidance_from;
};

using SettingMember = std::variant<std::optional<std::string> Settings::*, std::optional<std::uint64_t> Settings::*,
                                   std::optional<double> Settings::*, std::optional<std::vector<std::string>> Settings::*>;

struct Setting {
    std::string_view key;          ///< in the file: "generate.steps"
    std::string_view flag;         ///< of `pumice generate`: "--steps"; empty: none
    std::string_view environment;  ///< "PUMICE_DEVICE"; empty: none
    SettingMember member;
    /// paths: in the file a path or a list of them, in the environment joined by ':'.
    enum class Kind : std::uint8_t { text, path, paths, choice, name, whole, real, seed, bytes } kind;
    double least = 0, most = 0;                            ///< whole, real
    std::uint32_t multiple = 1;                            ///< whole
    std::vector<std::string_view> (*choices)() = nullptr;  ///< choice
};

/// All of them, in the order of the documentation.
std::span<const Setting> all_settings();
const Setting* find_flag(std::string_view flag);

/// "a whole number from 1 to 1000".
std::string wanted(const Setting&);

/// A value as the command line or the environment has it. PUMICE_INVALID_ARGUMENT: "WHERE: "TEXT" is not …".
Expected<void> set_from_text(Settings&, const Setting&, std::string_view text, const std::string& where);

/// A typed value, as the file has it. PUMICE_INVALID_ARGUMENT beginning with `where`.
using SettingValue = std::variant<std::string, std::int64_t, double, std::vector<std::string>>;
Expected<void> set_value(Settings&, const Setting&, const SettingValue&, const std::string& where);

/// As a user wrote it, fit for one line.
std::string shown(std::string_view text);

/// What `over` sets, else what `under` sets.
Settings overlay(const Settings& over, const Settings& under);

/// The settings that have a variable, from the environment: `get` is getenv. An empty variable counts as absent.
Expected<Settings> settings_from_environment(const char* (*get)(const char*));

/// "~/x" and "~" with the home folder for "~"; as it is when `home` is empty.
std::string expand_home(const std::string& path, const std::string& home);

}  // namespace pumice::host
