#include "measure.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.hpp"
#include "vulkan/command.hpp"

namespace pumice::bench {
namespace {

/// A recorded case.
struct Recorded {
    TensorInfo output;
    std::unique_ptr<Program> program;
    BufferRange range;
    double bytes = 0;
};

Result<Recorded> record(const Bench& bench, Inputs& inputs, Arena& arena, const Build& build, Precision precision) {
    Graph g(bench.device->caps(), precision, bench.device->assumed_gflops());
    inputs.rewind();
    const TensorId y = build(g, inputs);
    if (const Error* error = g.error()) return *error;
    if (!y) return Error{Code::internal, "no output"};
    Recorded made;
    made.output = g.info(y);
    const bool in_place = static_cast<bool>(made.output.external.buffer);  // it is one of the operands, counted there
    made.bytes = static_cast<double>(inputs.bytes_made() + (in_place ? 0 : made.output.bytes()));
    if (!in_place) g.keep(y);
    PUMICE_ASSIGN(made.program, Program::compile(bench.device, *bench.kernels, arena, g));
    made.range = made.program->range(y);
    return made;
}

std::vector<float> decode(const std::vector<std::byte>& bytes, DType type) {
    std::vector<float> values(bytes.size() / size_of(type));
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint16_t half = 0;
        std::int32_t integer = 0;
        switch (type) {
            case DType::f32:
                std::memcpy(&values[i], &bytes[4 * i], 4);
                break;
            case DType::f16:
                std::memcpy(&half, &bytes[2 * i], 2), values[i] = f16_to_f32(half);
                break;
            case DType::bf16:
                std::memcpy(&half, &bytes[2 * i], 2), values[i] = bf16_to_f32(half);
                break;
            case DType::i32:
                std::memcpy(&integer, &bytes[4 * i], 4), values[i] = static_cast<float>(integer);
                break;
            case DType::u8:
                values[i] = static_cast<float>(bytes[i]);
                break;
        }
    }
    return values;
}

Result<std::vector<float>> run_and_read(const Bench& bench, Recorded& r) {
    PUMICE_TRY(r.program->run());
    std::vector<std::byte> bytes(r.output.bytes());
    PUMICE_TRY(read_range(bench.device, r.range, bytes));
    return decode(bytes, r.output.dtype);
}

/// The largest difference, over the larger of the value and the values' root mean square.
double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
    if (got.size() != want.size()) return HUGE_VAL;
    double square = 0, worst = 0;
    for (const float v : want) square += double(v) * v;
    const double rms = std::sqrt(square / static_cast<double>(std::max<std::size_t>(1, want.size())));
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double difference = std::fabs(double(got[i]) - want[i]);
        const double error = difference == 0 ? 0 : difference / std::max({std::fabs(double(want[i])), rms, 1e-30});
        if (!(error <= worst)) worst = std::isnan(error) ? HUGE_VAL : error;
    }
    return worst;
}

/// fp32 sums of up to 20,000 products in another order, built-in functions; fp16 rounds what goes in between and out to
/// 11 bits. A picture's bytes may fall on either side of a step.
double tolerance(const Bench& bench, const Case& c, DType output) {
    if (bench.precision == Precision::exact) return 0;
    if (output == DType::u8) return 0.02;
    if (c.seeded) return 1e-3;
    return bench.precision == Precision::fp32 ? 1e-4 : 5e-3;
}

}  // namespace

Result<std::vector<Measurement>> measure(const Bench& bench, const Case& c, bool all_variants) {
    Inputs inputs(bench.device);
    Arena arena;
    std::vector<float> exact;
    {
        PUMICE_ASSIGN(Recorded reference, record(bench, inputs, arena, c.build, Precision::exact));
        PUMICE_ASSIGN(exact, run_and_read(bench, reference));
    }
    std::vector<Variant> variants;
    if (c.variants) {
        Graph g(bench.device->caps(), bench.precision);
        variants = c.variants(g);
        if (!all_variants) variants.resize(1);
    } else {
        variants.push_back({{}, c.build});
    }
    std::vector<Measurement> measurements;
    for (const Variant& variant : variants) {
        PUMICE_ASSIGN(Recorded recorded, record(bench, inputs, arena, variant.build, bench.precision));
        Measurement m;
        m.variant = variant.name;
        m.chosen = measurements.empty();
        m.flops = recorded.program->flops();
        m.bytes = recorded.bytes;
        PUMICE_ASSIGN(const std::vector<float> got, run_and_read(bench, recorded));
        m.error = relative_error(got, exact);
        m.tolerance = tolerance(bench, c, recorded.output.dtype);
        if (m.correct()) {
            PUMICE_ASSIGN(m.timing, repeat(bench, *recorded.program));
        }
        measurements.push_back(std::move(m));
    }
    return measurements;
}

}  // namespace pumice::bench
