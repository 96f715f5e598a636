#include "diffusion/gpu_tensor_math.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "device_fixture.hpp"
#include "diffusion/brownian.hpp"
#include "diffusion/golden.hpp"
#include "vulkan/command.hpp"

using namespace pumice;

namespace {

Status no_noise(std::span<float>) {
    return Error{Code::internal, "no noise here"};
}

std::unique_ptr<GpuTensorMath> make_math(Shape shape, Precision precision, DrawNoise draw) {
    test::Gpu& gpu = test::gpu();
    auto math = GpuTensorMath::create(gpu.device, gpu.kernels, shape, precision, std::move(draw));
    INFO((math ? "" : math.error().message));
    REQUIRE(math);
    return *std::move(math);
}

Latent new_latent(TensorMath& math) {
    auto latent = math.create_latent();
    REQUIRE(latent);
    return *std::move(latent);
}

std::vector<float> numbers(std::size_t count, std::uint64_t seed) {
    std::vector<float> values(count);
    NoiseSource(RngKind::philox, seed).normal(values);
    return values;
}

std::vector<float> downloaded(GpuTensorMath& math, const Latent& latent) {
    auto values = math.download(latent);
    INFO((values ? "" : values.error().message));
    REQUIRE(values);
    return *std::move(values);
}

void require_ok(const Status& status) {
    INFO((status ? "" : status.error().message));
    REQUIRE(status);
}

}  // namespace

TEST_CASE("latents on the device: in and out, and combined") {
    for (const Precision precision : {Precision::exact, Precision::fp32, Precision::fp16}) {
        for (const Shape shape : {Shape{1, 4, 4, 4}, Shape{2, 3, 5, 4}, Shape{3, 64, 48, 4}}) {
            INFO("precision " << int(precision) << ", " << shape.n << "x" << shape.h << "x" << shape.w);
            const auto math = make_math(shape, precision, no_noise);
            const std::size_t count = shape.elements();
            std::vector<std::vector<float>> host;
            std::vector<Latent> latents;
            for (std::uint64_t i = 0; i < 4; ++i) {
                host.push_back(numbers(count, i));
                latents.push_back(new_latent(*math));
                require_ok(math->upload(latents.back(), host.back()));
            }
            for (std::size_t i = 0; i < 4; ++i) CHECK(downloaded(*math, latents[i]) == host[i]);
            require_ok(
                math->combine(latents[0], {{0.5, latents[0]}, {-2, latents[1]}, {0.1, latents[2]}, {3, latents[3]}}));
            require_ok(math->combine(latents[1], {{1, latents[3]}, {1, latents[3]}}));
            require_ok(math->combine(latents[2], {{-1, latents[2]}}));
            std::vector<float> sum(count), twice(count), negative(count);
            for (std::size_t i = 0; i < count; ++i) {
                sum[i] = 0.5f * host[0][i] + -2.0f * host[1][i] + 0.1f * host[2][i] + 3.0f * host[3][i];
                twice[i] = 2 * host[3][i];
                negative[i] = -host[2][i];
            }
            CHECK(worst_error(downloaded(*math, latents[0]), sum, 2e-6, 1e-6) <= 1);
            if (precision == Precision::exact) CHECK(downloaded(*math, latents[0]) == sum);
            CHECK(downloaded(*math, latents[1]) == twice);
            CHECK(downloaded(*math, latents[2]) == negative);
            CHECK(downloaded(*math, latents[3]) == host[3]);
        }
    }
}

TEST_CASE("noise on the device is the generators' noise, picture by picture") {
    const Shape shape{2, 6, 7, 4};
    for (const RngKind kind : {RngKind::torch_cpu, RngKind::philox}) {
        const NoiseOptions options{.kind = kind, .seed = 77};
        const auto math = make_math(shape, Precision::exact, draw_from(BatchNoise(options, shape.n), shape));
        BatchNoise expected(options, shape.n);
        const Latent x = new_latent(*math);
        for (int draw = 0; draw < 3; ++draw) {
            std::vector<float> want(shape.elements());
            expected.normal(want, shape.c, shape.h, shape.w);
            require_ok(math->noise(x));
            CHECK(downloaded(*math, x) == want);
        }
    }
}

TEST_CASE("eight terms in one sum, or in several where bindings are few") {
    const Shape shape{1, 5, 7, 4};
    for (const std::uint32_t at_once : {8u, 4u}) {
        auto made = GpuTensorMath::create(test::gpu().device, test::gpu().kernels, shape, Precision::exact, no_noise, {},
                                          at_once);
        REQUIRE(made);
        GpuTensorMath& math = **made;
        std::vector<std::vector<float>> host;
        std::vector<Latent> latents;
        std::vector<LatentTerm> terms;
        for (std::uint64_t i = 0; i < 8; ++i) {
            host.push_back(numbers(shape.elements(), i));
            latents.push_back(new_latent(math));
            require_ok(math.upload(latents.back(), host.back()));
        }
        for (std::size_t i = 0; i < 8; ++i) terms.push_back({0.25 * double(i) - 1.1, latents[i]});
        for (const std::size_t count : {5u, 7u, 8u}) {
            INFO(count << " terms, " << at_once << " at once");
            std::vector<float> sum(shape.elements(), 0.0f);
            for (std::size_t i = 0; i < count; ++i)
                for (std::size_t k = 0; k < sum.size(); ++k) {
                    const float term = static_cast<float>(terms[i].weight) * host[i][k];
                    sum[k] = i == 0 ? term : sum[k] + term;
                }
            const Latent out = new_latent(math);
            require_ok(math.linear_combination(out, std::span(terms).first(count)));
            CHECK(downloaded(math, out) == sum);
        }
        // The target may be any of the terms.
        std::vector<float> sum(shape.elements(), 0.0f);
        for (std::size_t i = 0; i < 8; ++i)
            for (std::size_t k = 0; k < sum.size(); ++k) {
                const float term = static_cast<float>(terms[i].weight) * host[i][k];
                sum[k] = i == 0 ? term : sum[k] + term;
            }
        require_ok(math.linear_combination(latents[7], terms));
        CHECK(downloaded(math, latents[7]) == sum);
    }
}

TEST_CASE("norms on the device are those of each picture") {
    for (const Shape shape : {Shape{1, 4, 4, 4}, Shape{3, 33, 35, 4}}) {
        const auto math = make_math(shape, Precision::exact, no_noise);
        const std::vector<float> values = numbers(shape.elements(), 3);
        const Latent x = new_latent(*math);
        require_ok(math->upload(x, values));
        const auto norms = math->norms(x);
        REQUIRE(norms);
        REQUIRE(norms->size() == shape.n);
        const std::size_t count = values.size() / shape.n;
        for (std::size_t n = 0; n < shape.n; ++n) {
            double sum = 0, squares = 0, largest = 0;
            for (std::size_t i = n * count; i < (n + 1) * count; ++i) {
                sum += double(values[i]);
                squares += double(values[i]) * double(values[i]);
                largest = std::max(largest, std::fabs(double(values[i])));
            }
            CHECK(std::fabs((*norms)[n].sum - sum) < 1e-5 * double(count));
            CHECK((*norms)[n].squares == Approx(squares).epsilon(1e-5));
            CHECK((*norms)[n].largest == largest);
        }
    }
}

TEST_CASE("a Brownian path on the device is each picture's own") {
    const Shape shape{2, 4, 4, 4};
    const NoiseOptions options{.kind = RngKind::torch_cpu, .seed = 1234};
    auto made = GpuTensorMath::create(test::gpu().device, test::gpu().kernels, shape, Precision::fp32, no_noise,
                                      brownian_from(options, shape));
    REQUIRE(made);
    const Latent x = new_latent(**made);
    require_ok((*made)->brownian(x, 0.03, 14.6, 14.6, 6));
    const std::vector<float> got = downloaded(**made, x);
    std::vector<float> want(shape.elements());
    for (std::uint64_t i = 0; i < 2; ++i)
        BrownianTree(1234 + i, 64, 0.03, 14.6).increment(14.6, 6, std::span(want).subspan(i * 64, 64));
    CHECK(got == want);
    CHECK((*made)->brownian(x, 1, 1, 1, 0.5).error().code == Code::invalid_argument);
    CHECK(make_math(shape, Precision::fp32, no_noise)->brownian(x, 1, 2, 2, 1).error().code == Code::invalid_argument);
}

TEST_CASE("memory of the caller's can be a latent") {
    const Shape shape{1, 4, 4, 4};
    const auto math = make_math(shape, Precision::fp32, no_noise);
    const std::uint64_t bytes = shape.elements() * sizeof(float);
    auto buffer = test::gpu().device->allocator().create(bytes, Intent::device, "test");
    REQUIRE(buffer);
    const std::vector<float> values = numbers(shape.elements(), 5);
    const Latent x = new_latent(*math);
    require_ok(math->upload(x, values));
    for (int round = 0; round < 2; ++round) {  // the second handle must not see programs of the first
        auto wrapped = math->wrap({*buffer, 0, bytes});
        REQUIRE(wrapped);
        require_ok(math->combine(*wrapped, {{2, x}}));
        std::vector<float> nhwc(shape.elements());
        REQUIRE(read_range(test::gpu().device, {*buffer, 0, bytes}, std::as_writable_bytes(std::span(nhwc))));
        CHECK(nhwc[1] == 2 * values[16]);  // the second channel of the first pixel
        std::fill(nhwc.begin(), nhwc.end(), 0.0f);
        REQUIRE(write_range(test::gpu().device, {*buffer, 0, bytes}, std::as_bytes(std::span(nhwc))));
    }
    CHECK(math->wrap({*buffer, 0, bytes - 4}).error().code == Code::invalid_argument);
    CHECK(math->wrap({}).error().code == Code::invalid_argument);
}

TEST_CASE("arithmetic on the device refuses what it cannot do") {
    test::Gpu& gpu = test::gpu();
    CHECK(GpuTensorMath::create(gpu.device, gpu.kernels, {1, 4, 4, 3}, Precision::fp32, no_noise).error().code ==
          Code::invalid_argument);
    const auto math = make_math({1, 4, 4, 4}, Precision::fp32, no_noise),
               other = make_math({1, 4, 4, 4}, Precision::fp32, no_noise);
    const Latent x = new_latent(*math), y = new_latent(*other);
    CHECK(math->combine(x, {{1, y}}).error().code == Code::invalid_argument);
    CHECK(math->noise(y).error().code == Code::invalid_argument);
    CHECK(math->noise(x).error().message == "no noise here");
    CHECK(math->upload(x, std::vector<float>(3)).error().code == Code::invalid_argument);
    CHECK(math->download(y).error().code == Code::invalid_argument);
}
