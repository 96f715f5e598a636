// pumice_bench step: where the time of one denoising step, and of decoding a picture, goes.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench.hpp"
#include "cases.hpp"
#include "cli/table.hpp"
#include "models/model.hpp"
#include "models/text_encoder.hpp"
#include "models/unet.hpp"
#include "models/vae.hpp"

namespace pumice::bench {
namespace {

/// A network, run once to warm up if short and then timed node by node.
struct Part {
    std::string name;
    double load = 0, compile = 0;  ///< seconds: weights to the device; planning, pipelines, recording
    double seconds = 0, flops = 0;
    std::uint64_t activations = 0, weights = 0;  ///< bytes
    std::vector<NodeTime> nodes;
    std::vector<std::pair<std::string, double>> pipelines;  ///< seconds each took; of those not compiled before
};

/// The operator's name ends the node's label.
std::string operator_of(const NodeTime& node) {
    return node.label.substr(node.label.rfind(' ') + 1);
}

/// "linear.f16.wf16.fast.wide(8, 1, 4)"
std::string describe(const KernelKey& key) {
    return fmt::format("{}({})", key.module, fmt::join(key.specialization, ", "));
}

/// Compiles what the graph needs.
Status time_pipelines(const Bench& bench, const Graph& g, std::set<KernelKey>& compiled, Part& part) {
    for (const Node& node : g.nodes())
        for (const Dispatch& d : node.dispatches) {
            if (!compiled.insert(d.kernel).second) continue;
            const Stopwatch watch(Clock::device);
            PUMICE_TRY(bench.kernels->get(d.kernel));
            part.pipelines.emplace_back(describe(d.kernel), watch.seconds(0));
        }
    return {};
}

/// Some drivers compile when a pipeline is first used: what a node took longer in the first run than in the second.
void add_first_uses(const std::vector<NodeTime>& first, Part& part) {
    for (std::size_t i = 0; i < first.size(); ++i)
        if (const double seconds = (first[i].milliseconds - part.nodes[i].milliseconds) * 1e-3; seconds > 0.05)
            part.pipelines.emplace_back("first use: " + part.nodes[i].label + " " + part.nodes[i].module, seconds);
    std::stable_sort(part.pipelines.begin(), part.pipelines.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
}

Result<Part> run_part(const Bench& bench, std::string name, WeightSet& weights, const Build& build,
                      std::set<KernelKey>* compiled) {
    Part part;
    part.name = std::move(name);
    Inputs inputs(bench.device);
    Arena arena;
    Graph g(bench.device->caps(), bench.precision, bench.device->assumed_gflops());
    const Stopwatch load(Clock::device);
    const TensorId y = build(g, inputs);
    if (const Error* error = g.error()) return *error;
    g.keep(y);
    PUMICE_TRY(weights.flush());
    part.load = load.wall();
    const Stopwatch compile(Clock::device);
    if (compiled) PUMICE_TRY(time_pipelines(bench, g, *compiled, part));
    PUMICE_ASSIGN(const auto program, Program::compile(bench.device, *bench.kernels, arena, g,
                                                       {.profile = true, .name = part.name.c_str()}));
    part.compile = compile.wall();
    part.flops = program->flops();
    part.activations = program->arena_bytes();
    part.weights = weights.device_bytes();
    std::vector<NodeTime> first;
    if (compiled || part.flops < 1e11) {  // a long one needs no warming
        PUMICE_TRY(program->run());
        PUMICE_ASSIGN(first, program->times());
    }
    const Stopwatch watch(bench.options.clock);
    PUMICE_TRY(program->run());
    part.seconds = watch.seconds(program->device_seconds());
    PUMICE_ASSIGN(part.nodes, program->times());
    if (compiled) add_first_uses(first, part);
    return part;
}

Result<std::vector<Part>> run_parts(const Bench& bench, const StepOptions& what) {
    PUMICE_ASSIGN(const auto model, Model::load(bench.device, bench.kernels, what.model, {bench.precision, 0}));
    const ModelConfig& config = model->config();
    const std::uint32_t h = what.height / 8, w = what.width / 8, context = config.unet.context_channels;
    std::vector<Part> parts;
    std::set<KernelKey> compiled;
    const auto run = [&](std::string name, WeightSet& weights, const Build& build) -> Status {
        PUMICE_ASSIGN(Part part,
                      run_part(bench, std::move(name), weights, build, what.pipelines ? &compiled : nullptr));
        parts.push_back(std::move(part));
        if (!model->fits_at_once()) weights.release();
        return {};
    };
    PUMICE_TRY(run("text encoder, 77 tokens", model->text_weights(), [&](Graph& g, Inputs& in) {
        return text_encoder(g, model->text_weights(), in.integers(g, {1, 1, 77, 1}, 100), config.text[0]);
    }));
    PUMICE_TRY(run(
        fmt::format("UNet, {}x{}, batch 2", what.width, what.height), model->unet_weights(), [&](Graph& g, Inputs& in) {
            const TensorId x = in.activation(g, {2, h, w, 4}), steps = in.f32(g, {1, 1, 1, 2});
            return unet(g, model->unet_weights(), {x, steps, in.activation(g, {2, 1, 77, context})}, config.unet.heads);
        }));
    if (what.vae)
        PUMICE_TRY(run(fmt::format("VAE decoding {}x{}", what.width, what.height), model->vae_weights(),
                       [&](Graph& g, Inputs& in) {
                           return vae_decode(g, model->vae_weights(), in.activation(g, {1, h, w, 4}));
                       }));
    return parts;
}

struct Sum {
    double milliseconds = 0, flops = 0, bytes = 0;
    std::size_t count = 0;
    void add(const NodeTime& n) { milliseconds += n.milliseconds, flops += n.flops, bytes += n.bytes, ++count; }
};

std::vector<std::string> row(const std::string& name, const std::string& module, const Sum& s, double all) {
    return {name,
            module,
            fmt::to_string(s.count),
            fmt::format("{:.1f}", s.milliseconds),
            fmt::format("{:.1f}%", 100 * s.milliseconds / all),
            fmt::format("{:.1f}", s.flops * 1e-9),
            s.milliseconds > 0 ? fmt::format("{:.2f}", s.flops * 1e-6 / s.milliseconds) : "",
            s.milliseconds > 0 ? fmt::format("{:.2f}", s.bytes * 1e-6 / s.milliseconds) : ""};
}

const std::vector<std::string> kHeading{"operator", "kernel", ">uses", ">ms", ">share", ">GFLOP", ">GFLOP/s", ">GB/s"};

/// By operator and kernel, the longest first.
nlohmann::ordered_json print(const Part& part, std::uint32_t slowest) {
    std::map<std::pair<std::string, std::string>, Sum> sums;
    double all = 0;
    for (const NodeTime& node : part.nodes) {
        sums[{operator_of(node), node.module}].add(node);
        all += node.milliseconds;
    }
    std::vector<std::pair<std::pair<std::string, std::string>, Sum>> sorted(sums.begin(), sums.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.second.milliseconds > b.second.milliseconds; });
    fmt::print(
        "{}: {:.2f} s, {:.1f} GFLOP, {:.2f} GFLOP/s; {:.0f} MiB of weights in {:.1f} s, {:.0f} MiB of "
        "activations, compiling {:.1f} s\n",
        part.name, part.seconds, part.flops * 1e-9, part.flops / part.seconds * 1e-9,
        static_cast<double>(part.weights) / 1048576, part.load, static_cast<double>(part.activations) / 1048576,
        part.compile);
    nlohmann::ordered_json json{{"name", part.name},
                                {"seconds", part.seconds},
                                {"flops", part.flops},
                                {"gflops", part.flops / part.seconds * 1e-9},
                                {"weight_bytes", part.weights},
                                {"activation_bytes", part.activations},
                                {"load_seconds", part.load},
                                {"compile_seconds", part.compile},
                                {"operators", nlohmann::ordered_json::array()}};
    std::vector<std::vector<std::string>> rows{kHeading};
    for (const auto& [key, sum] : sorted) {
        rows.push_back(row(key.first, key.second, sum, all));
        json["operators"].push_back({{"operator", key.first},
                                     {"kernel", key.second},
                                     {"uses", sum.count},
                                     {"milliseconds", sum.milliseconds},
                                     {"share", sum.milliseconds / all},
                                     {"flops", sum.flops},
                                     {"bytes", sum.bytes}});
    }
    fmt::print("{}", cli::table_text(std::move(rows)));

    std::vector<NodeTime> nodes = part.nodes;
    std::stable_sort(nodes.begin(), nodes.end(),
                     [](const NodeTime& a, const NodeTime& b) { return a.milliseconds > b.milliseconds; });
    nodes.resize(std::min<std::size_t>(nodes.size(), slowest));
    rows = {kHeading};
    rows[0][0] = "slowest";
    for (const NodeTime& node : nodes) {
        Sum one;
        one.add(node);
        rows.push_back(row(node.label, node.module, one, all));
    }
    if (!nodes.empty()) fmt::print("{}", cli::table_text(std::move(rows)));
    rows = {{">s", "pipeline"}};
    for (const auto& [name, seconds] : part.pipelines) {
        rows.push_back({fmt::format("{:.2f}", seconds), name});
        json["pipelines"].push_back({{"pipeline", name}, {"seconds", seconds}});
    }
    if (!part.pipelines.empty()) fmt::print("{}", cli::table_text(std::move(rows)));
    fmt::print("\n");
    return json;
}

}  // namespace

Result<int> run_step(const Options& options, const StepOptions& what) {
    for (const std::uint32_t size : {what.width, what.height})
        if (size % 8 != 0 || size < 64 || size > 16384)
            return Error{Code::invalid_argument, fmt::format("{}x{}: width and height are multiples of 8 from 64 to "
                                                             "16384",
                                                             what.width, what.height)};
    PUMICE_ASSIGN(const Bench bench, Bench::open(options));
    PUMICE_ASSIGN(const auto parts, run_parts(bench, what));
    fmt::print("{}, {}\n\n", bench.title(), what.model.filename().string());
    nlohmann::ordered_json document = bench.record();
    document["width"] = what.width, document["height"] = what.height;
    document["parts"] = nlohmann::ordered_json::array();
    for (const Part& part : parts) document["parts"].push_back(print(part, what.nodes));
    const MemoryStatistics memory = bench.device->allocator().statistics();
    fmt::print("device memory: {:.0f} MiB at the peak, staging {:.0f} MiB\n",
               static_cast<double>(memory.device_peak) / 1048576, static_cast<double>(memory.host_peak) / 1048576);
    document["device_peak"] = memory.device_peak, document["staging_peak"] = memory.host_peak;
    if (!options.json.empty()) PUMICE_TRY(write_json(options.json, document));
    return *bench.validation_messages > 0 ? 1 : 0;
}

}  // namespace pumice::bench
