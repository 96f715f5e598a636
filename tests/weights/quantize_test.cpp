#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "catch.hpp"
#include "weights/quantized.hpp"

using namespace pumice;

namespace {

std::vector<float> there_and_back(StoredType type, const std::vector<float>& values) {
    std::vector<std::byte> block(size_of(type));
    quantize_block(type, values, block);
    std::vector<float> read(values.size());
    dequantize_block(type, block, read);
    return read;
}

double rms(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    return std::sqrt(sum / static_cast<double>(a.size()));
}

struct Case {
    StoredType type;
    double error;  ///< of normal values with deviation 1: measured, and a tenth more
};
// For a uniform step d the error is d / sqrt(12); the largest of 32 normal values is about 2.1, of 16 about 1.8.
const Case kCases[] = {{StoredType::q8_0, 0.0055}, {StoredType::q4_0, 0.100}, {StoredType::q4_1, 0.092},
                       {StoredType::q5_0, 0.050},  {StoredType::q5_1, 0.045}, {StoredType::q6_k, 0.021},
                       {StoredType::q5_k, 0.043},  {StoredType::q4_k, 0.086}, {StoredType::q3_k, 0.165},
                       {StoredType::q2_k, 0.33}};

}  // namespace

TEST_CASE("blocks of normal values are off by no more than their steps", "[weights]") {
    for (const Case& c : kCases) {
        INFO(to_string(c.type));
        std::mt19937 random(7);
        std::normal_distribution<float> normal;
        double worst = 0, sum = 0;
        for (int block = 0; block < 50; ++block) {
            std::vector<float> values(block_elements(c.type));
            for (float& v : values) v = normal(random);
            const double error = rms(values, there_and_back(c.type, values));
            worst = std::max(worst, error);
            sum += error;
        }
        CHECK(sum / 50 < c.error);
        CHECK(worst < 2 * c.error);
    }
}

TEST_CASE("what a block can hold exactly it holds, and what is nothing stays nothing", "[weights]") {
    for (const Case& c : kCases) {
        INFO(to_string(c.type));
        const std::size_t n = block_elements(c.type);
        const std::vector<float> zeros(n);
        CHECK(there_and_back(c.type, zeros) == zeros);
        // A step of 1/8 with two levels, the lowest included, exists in every type.
        std::vector<float> levels(n);
        for (std::size_t i = 0; i < n; ++i) levels[i] = i % 3 == 0 ? -0.125f : 0.0f;
        CHECK(rms(levels, there_and_back(c.type, levels)) < 0.0011);
        // A block of one value.
        const std::vector<float> same(n, 0.75f);
        CHECK(rms(same, there_and_back(c.type, same)) < 0.013);
        for (const float v : there_and_back(c.type, std::vector<float>(n, 3e38f))) CHECK(std::isfinite(v));
    }
}
