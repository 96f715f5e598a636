// A network whose output is looked at on the device: fp16 overflow never ends in a black picture.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/program.hpp"
#include "models/model.hpp"
#include "models/weight_stream.hpp"

namespace pumice {

Result<BufferRange> make_range(Device&, std::uint64_t bytes, Intent, const char* what);

/// What a program would take, before anything is.
struct ProgramPlan {
    std::uint64_t weights = 0;      ///< bytes of all of them that are not on the device
    std::uint64_t activations = 0;  ///< of the arena, beyond what it has
    StreamPlan stream;
    std::uint64_t peak() const { return stream.bytes() + activations; }
};

class CheckedProgram {
public:
    struct Options {
        std::string name;             ///< "UNet", for messages
        bool profile = false;
        Seamless seamless = {};
        /// Appends the network and returns the tensor to be checked. Called again when fp16 overflowed.
        std::function<TensorId(Graph&)> build = {};
        /// In its place, for a network of several outputs.
        std::function<std::vector<TensorId>(Graph&)> build_all = {};
        /// Memory shared with programs that do not run meanwhile; null: its own. Outlives this.
        Arena* arena = nullptr;
    };
    /// Builds in the model's precision, with the weights of `weights`: all of them on the device where there is room
    /// beside the activations, after other weights have left if need be, or else with the largest of them coming and
    /// going as it runs, which changes no result. Model and weights outlive this.
    static Result<std::unique_ptr<CheckedProgram>> create(Model& model, WeightSet& weights, Options options);

    /// The same without doing it, as if `free` bytes were; nothing is loaded, and `build` may use placeholders.
    static Result<ProgramPlan> plan(Model& model, WeightSet& weights, const Options& options, std::uint64_t free);

    /// Runs once. When fp16 gave NaN or infinity, runs again in fp32, and stays there: fell_back() tells.
    /// Code::not_finite when fp32 gives NaN too.
    Status run(const std::atomic<bool>* cancel);
    bool fell_back() const { return fell_back_; }
    Program& program() { return *program_; }
    /// What comes and goes while it runs; null: all its weights stay.
    const WeightStream* stream() const { return stream_.get(); }

private:
    CheckedProgram(Model& model, WeightSet& weights, Options options)
        : model_(model), weights_(weights), options_(std::move(options)) {}
    Status record(Precision);
    Status bring_weights(Graph&);
    Result<bool> run_finite(const std::atomic<bool>* cancel);

    Model& model_;
    WeightSet& weights_;
    Options options_;
    BufferRange flag_;
    Arena arena_;
    std::unique_ptr<WeightStream> stream_;
    std::unique_ptr<Program> program_;
    Precision precision_ = Precision::fp32;
    bool fell_back_ = false;
};

}  // namespace pumice
