// A program of a plugin's own: what its build function appends, planned, recorded and watched for float16 overflow.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "graph/program.hpp"
#include "plugins/device_session.hpp"
#include "plugins/picture.hpp"

namespace pumice::plugins {

class PluginProgram {
public:
    /// Calls the plugin's build function. Errors: what it gave, what the graph recorded, memory and device errors.
    static Result<std::unique_ptr<PluginProgram>> create(DeviceSession&, Arena&, const pumice_program_options&);

    /// Runs once. When float16 gave NaN or infinity it is built in fp32, and stays so. Code::not_finite when that gives
    /// them too.
    Status run();

    Status write(std::uint32_t input, std::span<const float> values);
    Status read(std::uint32_t output, std::span<float> values);
    Status write_picture(std::uint32_t input, const Picture&, std::int32_t x, std::int32_t y);
    struct Rectangle {
        std::uint32_t x, y, width, height;
    };
    Status read_picture(std::uint32_t output, const Rectangle& from, Picture&, std::uint32_t x, std::uint32_t y,
                        std::uint32_t channels);

    // For the build function.
    TensorId add_input(Graph&, Shape);
    void add_output(Graph&, TensorId);

private:
    PluginProgram(DeviceSession& session, Arena& arena) : session_(session), arena_(arena) {}
    Status record(Precision);
    Status build(Graph&);
    Result<bool> run_finite();

    DeviceSession& session_;
    Arena& arena_;
    std::string name_;
    pumice_sdk_status (*build_)(void*, pumice_graph) = nullptr;
    void* data_ = nullptr;
    struct Input {
        Shape shape;
        BufferRange range;
    };
    std::vector<Input> inputs_;  ///< keep their numbers when it is built again
    std::size_t declared_ = 0;   ///< of the inputs, by the build that runs
    struct Output {
        TensorId id;
        Shape shape;
    };
    std::vector<Output> outputs_;
    BufferRange flag_;
    Precision precision_ = Precision::fp32;
    std::unique_ptr<Program> program_;
};

}  // namespace pumice::plugins
