// make_checkpoint: a checkpoint of any SD 1, 2 or XL geometry with seeded random weights, to measure and test with.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "models/random_checkpoint.hpp"

namespace {

using namespace pumice;

int fail(const Error& error) {
    fmt::print(stderr, "make_checkpoint: {}\n", error.message);
    return 1;
}

Result<std::string> read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) return Error{Code::io, path + ": cannot be read"};
    return text.str();
}

Result<CheckpointSummary> run(CheckpointRequest request, const std::string& family,
                              const std::string& config_file) {
    const std::string published = "{\"kind\": \"" + family + "\"}";
    if (!config_file.empty()) {
        PUMICE_ASSIGN(request.config_json, read_text(config_file));
    }
    PUMICE_ASSIGN(request.config, config_from_json(request.config_json.empty() ? published : request.config_json,
                                                   config_file.empty() ? family : config_file));
    return write_checkpoint(request);
}

}  // namespace

int main(int argc, char** argv) {
    CheckpointRequest request;
    std::string family = "sd1", config_file, output;
    CLI::App app{"Writes a Stable Diffusion checkpoint with seeded random weights (SD 1.5: 2.1 GB in f16)."};
    app.add_option("--family", family, "model family")
        ->check(CLI::IsMember({"sd1", "sd2", "sdxl", "sdxl_refiner"}))
        ->capture_default_str();
    app.add_option("--seed", request.seed, "the same seed gives the same file")->capture_default_str();
    app.add_option("--dtype", request.dtype, "element type: f16, bf16 or f32")
        ->transform(CLI::CheckedTransformer(
            std::map<std::string, DType>{{"f16", DType::f16}, {"bf16", DType::bf16}, {"f32", DType::f32}}));
    app.add_option("--config", config_file,
                   "geometry as JSON (kind; hyperparameters of unet, vae, text); the family's published one if not "
                   "given");
    app.add_option("-o,--output", output, "file to write")->required();
    app.add_flag("--force", request.overwrite, "overwrite an existing file");
    CLI11_PARSE(app, argc, argv);

    request.file = output;
    const auto begin = std::chrono::steady_clock::now();
    const auto summary = run(std::move(request), family, config_file);
    if (!summary) return fail(summary.error());
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    fmt::print("{}: {} tensors, {:.1f} M parameters, {:.2f} GB, {:.1f} s\n", output, summary->tensors,
               static_cast<double>(summary->parameters) * 1e-6, static_cast<double>(summary->bytes) * 1e-9,
               seconds.count());
    return 0;
}
