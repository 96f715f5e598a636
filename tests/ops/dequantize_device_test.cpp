#include "ops/operator_run.hpp"
#include "ops/ops.hpp"
#include "weights/quantized.hpp"

namespace pumice {
namespace {

using namespace pumice::test;

struct Type {
    Blocks blocks;
    StoredType stored;
    std::vector<std::size_t> halves;  ///< where the format has its f16 numbers
};
const std::vector<Type> kTypes = {{Blocks::q4_0, StoredType::q4_0, {0}},    {Blocks::q4_1, StoredType::q4_1, {0, 2}},
                                  {Blocks::q5_0, StoredType::q5_0, {0}},    {Blocks::q5_1, StoredType::q5_1, {0, 2}},
                                  {Blocks::q8_0, StoredType::q8_0, {0}},    {Blocks::q2_k, StoredType::q2_k, {80, 82}},
                                  {Blocks::q3_k, StoredType::q3_k, {108}},  {Blocks::q4_k, StoredType::q4_k, {0, 2}},
                                  {Blocks::q5_k, StoredType::q5_k, {0, 2}}, {Blocks::q6_k, StoredType::q6_k, {208}}};

/// A weight of random blocks, and the same as floats.
struct Blocked {
    std::vector<std::byte> bytes;
    HostWeight plain;
    Weight weight;

    Blocked(const Type& type, std::uint32_t n, std::uint32_t k, bool geglu) : plain{n, k, 1, 1, DType::f32, geglu, {}} {
        Random random(n + k);
        const std::size_t size = size_of(type.stored), elements = block_elements(type.stored);
        plain.values.resize(std::uint64_t(n) * k);
        for (std::size_t block = 0; block < plain.values.size() / elements; ++block) {
            const std::size_t at = bytes.size();
            for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(random.bits() >> 32));
            for (const std::size_t half : type.halves) {
                // One in eight is a denormal.
                const std::uint16_t h =
                    random.bits() % 8 == 0 ? std::uint16_t(random.bits() % 1024) : f32_to_f16(random.value() * 0.01f);
                std::memcpy(&bytes[at + half], &h, 2);
            }
            dequantize_block(type.stored, std::span(bytes).subspan(at, size),
                             std::span(plain.values).subspan(block * elements, elements));
        }
        bytes.resize((bytes.size() + 3) / 4 * 4);
        weight = plain.describe();
        weight.dtype = DType::f16;
        weight.blocks = type.blocks;
        weight.range = OperatorRun::upload(bytes);
    }
};

}  // namespace

TEST_CASE("blocks of ggml become the packed weight that the host makes of them", "[dequantize]") {
    for (const Type& type : kTypes)
        for (const bool geglu : {false, true}) {
            INFO(to_string(type.stored) << (geglu ? ", geglu" : ""));
            const Blocked b(type, geglu ? 24 : 13, 512, geglu);
            OperatorRun exact(Precision::exact);
            CHECK(to_bytes(exact.run(ops::dequantize(exact.graph, b.weight)), DType::f32) == b.plain.packed());
        }
}

TEST_CASE("a product with blocks is the product with what they stand for", "[dequantize]") {
    const Blocked b(kTypes[4], 40, 64, false);
    Random random(7);
    const std::vector<float> x = random.values(5 * 64);
    const auto product = [&](const Weight& w) {
        OperatorRun r(Precision::exact);
        const TensorId in = r.input({1, 1, 5, 64}, DType::f32, x);
        return r.run(ops::linear(r.graph, in, w));
    };
    CHECK(product(b.weight) == product(b.plain.on_device()));
}

TEST_CASE("dequantize refuses what has no blocks", "[dequantize]") {
    Random random(1);
    OperatorRun r(Precision::fp32);
    ops::dequantize(r.graph, HostWeight::random(8, 32, 1, 1, DType::f16, random).on_device());
    REQUIRE(r.graph.error() != nullptr);
    CHECK(r.graph.error()->message == "dequantize: weight [8][32][1][1] is not made of blocks");
}

}  // namespace pumice
