// The commands. Each prints its result on stdout and gives a failure for main to print.
#pragma once

#include <functional>
#include <memory>

#include "cli/command_line.hpp"
#include "config/config_file.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// Settings from flags, environment and file together, and the places of this user.
struct Context {
    CommandLine line;
    host::Settings settings;
    host::Places places;
};

Expected<void> run_generate(const Context&);
Expected<void> run_upscale(const Context&);
Expected<void> run_preprocess(const Context&);
Expected<void> run_devices(const Context&);
Expected<void> run_inspect(const Context&);
Expected<void> run_convert(const Context&);
Expected<void> run_merge(const Context&);
Expected<void> run_bake_lora(const Context&);
Expected<void> run_extract_lora(const Context&);
Expected<void> run_models_list(const Context&);
Expected<void> run_info(const Context&);
Expected<void> run_models_verify(const Context&);
Expected<void> run_version();
Expected<void> run_bench(const Context&);
Expected<void> run_bench_compare(const Context&);
Expected<void> run_plan(const Context&);
Expected<void> run_plugins_list(const Context&);
/// Enables or disables context.line.plugin.
Expected<void> run_plugins_set(const Context&, bool enabled);

/// Holds a plugin against the plugin interface; the exit status, what was wrong being said.
Expected<int> run_plugins_verify(const Context&);

/// The plugins of this user: in PUMICE_PLUGIN_PATH, paths.plugins, the user's data folder, and beside the program.
/// Warnings go to stderr.
Expected<Plugins> find_plugins(const Context&);
/// The sampler, the schedule and the filters of the settings are among those there are: PUMICE_INVALID_ARGUMENT, one
/// line.
Expected<void> check_plugin_names(const Context&, const Plugins&);
/// `name` is one of `known`; `where` stands in the message: "--upscaler".
Expected<void> check_name(const std::string& name, const std::string& where,
                          const std::vector<std::string_view>& known);
/// A method that a command uses: {"sampler", "euler"}.
struct UsedMethod {
    std::string kind, name;
};
/// The parameters for these: what the command line gives, and of what the file gives that which they have.
/// PUMICE_INVALID_ARGUMENT for one in the file that nothing has.
Expected<std::vector<std::string>> plugin_params(const Context&, const Plugins&, const std::vector<UsedMethod>&);

pumice_precision precision_of(const host::Settings&);

/// The engine of a command: the device of the settings, warnings on stderr, and with PUMICE_VALIDATION=1 the validation
/// layer, whose messages are counted.
class CommandEngine {
public:
    /// `clear_line` is called before anything is printed.
    static Expected<CommandEngine> open(const Context&, const Plugins&, std::function<void()> clear_line);
    const Engine& engine() const { return engine_; }
    /// With PUMICE_VALIDATION=1 a message of the validation layer is a bug, and the exit status says so.
    Expected<void> check_validation() const;

private:
    CommandEngine(Engine engine, std::shared_ptr<int> messages)
        : engine_(std::move(engine)), messages_(std::move(messages)) {}
    Engine engine_;
    std::shared_ptr<int> messages_;
};

/// "1.5 GiB", "38.2 MiB", "616 bytes".
std::string size_text(std::uint64_t bytes);
/// "1.3.239" of a version as Vulkan packs it.
std::string vulkan_text(std::uint32_t version);

}  // namespace pumice::cli
