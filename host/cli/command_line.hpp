// What was typed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/control_option.hpp"
#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// --outpaint: pixels to paint beyond each edge.
struct Outpaint {
    std::uint32_t left = 0, top = 0, right = 0, bottom = 0;
};

/// "left=128,bottom=64". PUMICE_INVALID_ARGUMENT.
Expected<Outpaint> read_outpaint(const std::string& text);

/// Of pumice bench.
struct BenchLine {
    std::optional<std::string> model, control, json, html;  ///< html: also of bench compare
    std::string only;
    std::uint32_t repeats = 0;  ///< 0: not given
    bool quick = false;
};

struct CommandLine {
    enum class Command {
        help,
        version,
        generate,
        upscale,
        preprocess,
        devices,
        inspect,
        plugins_list,
        plugins_enable,
        plugins_disable,
        plugins_verify,
        convert,
        models_list,
        models_verify,
        info,
        merge,
        bake_vae,
        bench,
        bench_compare,
        bake_lora,
        extract_lora,
        plan
    } command = Command::help;
    /// Command::help: "", "generate", "upscale", "preprocess", "devices", "models", "inspect", "plugins", "verify",
    /// "convert", "models list", "info", "merge", "bake-vae", "bake-lora", "extract-lora", "models verify", "bench",
    /// "plan"
    std::string help_of;
    host::Settings settings;  ///< of generate
    std::optional<std::string> prompt;
    std::optional<std::string> from;      ///< of generate: --from, a picture to make again
    std::optional<std::string> output;    ///< -o
    std::optional<std::string> config;    ///< --config
    std::optional<std::string> init_image, mask;
    std::optional<Outpaint> outpaint;
    std::optional<std::string> x, y, z;   ///< axes of a grid: "steps=10,20"
    bool prompt_matrix = false;
    std::optional<std::string> preview;   ///< of generate: the file that shows what is being made
    std::uint32_t preview_every = 5;
    std::string preview_method, preview_model;
    bool only_masked = false;
    std::string file;                     ///< of inspect, convert, models verify
    std::string plugin;                   ///< id, of plugins enable and disable; file, folder or id, of plugins verify
    double seconds = 0;                   ///< of plugins verify: how long a check may take; 0: as usual
    std::string device;                   ///< of plugins verify: --device
    std::vector<std::string> files;       ///< of plugins verify: --file; of bench compare: the reports
    BenchLine bench;
    std::vector<ControlOption> controls;  ///< of generate: --control
    std::vector<std::string> filters;     ///< of generate: --filter
    std::vector<std::string> loras;       ///< of generate and models bake-lora: --lora
    std::vector<std::string> styles;      ///< of generate: --style
    /// Where a picture's LoRAs and embeddings were found: looked in before other folders.
    std::vector<std::string> lora_folders, embedding_folders;
    std::string picture;                  ///< of upscale, preprocess and info: the file that is read; empty: none
    std::string method;                   ///< the name of the preprocessor; --upscaler, or empty
    std::string upscaler_model;           ///< upscale --model
    double scale = 0;                     ///< upscale --scale; 0: not given
    std::uint32_t width = 0, height = 0;  ///< of preprocess; 0: not given
    std::uint64_t seed = 0;               ///< of preprocess
    MergeRequest merge;                   ///< of models merge
    ExtractRequest extract;               ///< of models extract-lora
    WriteOptions write;                   ///< of the commands that write a model; all of it but the callbacks
    std::string sha256;                   ///< of models verify: digits that the file's must begin with
    bool no_hash = false;                 ///< of models list
    bool raw = false;                     ///< of info
    std::optional<std::string> profile;   ///< of generate: --profile
    bool profile_summary = false, profile_peaks = false;
    bool json = false, quiet = false;
    bool safe_mode = false;    ///< the plugins that come with Pumice alone
    bool probe_again = false;  ///< of plugins list
    bool params = false;       ///< of plugins list: each parameter on a line of its own
};

/// PUMICE_INVALID_ARGUMENT with one line.
Expected<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace pumice::cli
