// pumice_bench: how fast the engine is on a device, next to what the device can do.
#include <exception>
#include <map>
#include <new>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "bench.hpp"
#include "cli/exit_codes.hpp"

namespace {

using namespace pumice;
using namespace pumice::bench;

/// The program `pumice` has the same codes: README.md.
int exit_code(Code code) {
    if (code == Code::cancelled) return cli::kExitCancelled;
    return static_cast<int>(code) + 1;
}

void add_common(CLI::App& app, Options& o) {
    app.add_option("--device", o.device, "Index, part of the name, or UUID (default: the best)");
    app.add_option("--precision", o.precision, "auto, fp16, fp32 or exact")
        ->check(CLI::IsMember({"auto", "fp16", "fp32", "exact"}).description(""))
        ->capture_default_str();
    app.add_option("--clock", o.clock,
                   "device: the device's timestamps; cpu: processor time over the number of processors, for software "
                   "devices on a busy machine")
        ->transform(
            CLI::CheckedTransformer(std::map<std::string, Clock>{{"device", Clock::device}, {"cpu", Clock::cpu}})
                .description("device or cpu"))
        ->default_str("device");
    app.add_option("--json", o.json, "Also write the results to this file");
    app.add_option("--shaders", o.shaders, "Compile the kernels from this folder instead of taking those built in")
        ->check(CLI::ExistingDirectory);
    app.add_flag("--validation", o.validation, "Run under Vulkan's validation layer; a message is a failure");
}

int run(int argc, char** argv) {
    CLI::App app{"Times operators and whole networks on a Vulkan device."};
    app.require_subcommand(1);
    Options options;

    CLI::App& ops = *app.add_subcommand("ops",
                                        "Each operator on SD 1.5's shapes and on ragged ones, checked against "
                                        "its exact form first; exit status 1 when a result is wrong");
    OpsOptions ops_options;
    add_common(ops, options);
    ops.add_option("--only", ops_options.only, "An operator's name, or part of OPERATOR/SHAPES/CASE");
    ops.add_flag("--all-variants", ops_options.all_variants, "Every legal variant of products and attention");
    ops.add_flag("--quick", ops_options.quick, "One small case an operator");
    ops.add_flag("--list", ops_options.list, "Print the cases' names and do nothing");
    ops.add_option("--repeats", options.repeats, "Warm runs of a case")
        ->check(CLI::Range(2, 10000))
        ->capture_default_str();
    ops.add_option("--seconds", options.seconds, "No further run of a case is begun after this long")
        ->check(CLI::Range(0.0, 3600.0))
        ->capture_default_str();

    CLI::App& step = *app.add_subcommand(
        "step", "Text encoder, one UNet evaluation with guidance and a VAE decode: device time by operator");
    StepOptions step_options;
    add_common(step, options);
    step.add_option("MODEL", step_options.model, "A Stable Diffusion 1.x checkpoint (.safetensors)")->required();
    step.add_option("-W,--width", step_options.width, "Pixels, a multiple of 8")->capture_default_str();
    step.add_option("-H,--height", step_options.height, "Pixels, a multiple of 8")->capture_default_str();
    step.add_option("--nodes", step_options.nodes, "List so many of the slowest uses")->capture_default_str();
    step.add_flag("--pipelines", step_options.pipelines,
                  "Compile the kernels one after the other and say how long each takes");
    step.add_flag("!--no-vae", step_options.vae, "Leave the VAE out");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : exit_code(Code::invalid_argument);
    }
    const auto status = ops.parsed() ? run_ops(options, ops_options) : run_step(options, step_options);
    if (status) return *status;
    fmt::print(stderr, "pumice_bench: {}\n", status.error().message);
    return exit_code(status.error().code);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::bad_alloc&) {
        fmt::print(stderr, "pumice_bench: out of memory\n");
        return exit_code(Code::out_of_host_memory);
    } catch (const std::exception& e) {
        fmt::print(stderr, "pumice_bench: a bug of Pumice: {}\n", e.what());
        return exit_code(Code::internal);
    }
}
