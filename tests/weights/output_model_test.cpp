#include "weights/output_model.hpp"

#include <cstring>
#include <numeric>

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using test::FileBuilder;
using test::TemporaryFolder;

namespace {

using Writer = Status (*)(NewFile&, const OutputModel&, const OnWritten&);

WeightFile opened(const std::filesystem::path& path) {
    auto file = WeightFile::open(path);
    if (!file) FAIL(file.error().message);
    return *std::move(file);
}

Status write(Writer writer, const OutputModel& model, const std::filesystem::path& path) {
    PUMICE_ASSIGN(NewFile file, NewFile::create(path, Existing::replace));
    PUMICE_TRY(writer(file, model, {}));
    return file.finish();
}

/// A tensor of 0, 1, 2, …
OutputTensor counting(const std::string& name, StoredType type, const std::vector<std::uint64_t>& shape) {
    return made(name, type, shape, [](std::uint64_t first, std::span<float> to) -> Status {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>((first + i) % 200);
        return {};
    });
}

OutputModel model_of(const WeightFile& file) {
    OutputModel model{file.metadata(), {}};
    for (const StoredTensor& t : file.tensors()) model.tensors.push_back(copied(file, t));
    return model;
}

void check_same(const WeightFile& a, const WeightFile& b) {
    REQUIRE(a.tensors().size() == b.tensors().size());
    for (std::size_t i = 0; i < a.tensors().size(); ++i) {
        const StoredTensor &x = a.tensors()[i], &y = b.tensors()[i];
        INFO(x.name);
        CHECK(x.name == y.name);
        CHECK(x.dtype == y.dtype);
        CHECK(x.shape == y.shape);
        CHECK(std::equal(x.data.begin(), x.data.end(), y.data.begin(), y.data.end()));
    }
}

}  // namespace

TEST_CASE("what a writer writes the reader reads", "[weights]") {
    const TemporaryFolder folder;
    std::vector<float> many(3'000'000);  // more than a piece
    std::iota(many.begin(), many.end(), 0.0f);
    test::write_file(folder / "in", FileBuilder()
                                        .metadata(R"({"title": "Ünïcode, \"quoted\"", "empty": ""})")
                                        .add("a.weight", "F32", {3000, 1000}, many)
                                        .add("b", "F16", {3}, std::vector<std::uint16_t>{0, 0x3c00, 0x7c00})
                                        .add("c", "I64", {1, 2}, std::vector<std::int64_t>{-1, 77})
                                        .add("d", "BF16", {}, std::vector<std::uint16_t>{0x3f80})
                                        .add("e", "F64", {0, 4}, std::string())
                                        .build());
    const WeightFile in = opened(folder / "in");
    const std::pair<Writer, FileFormat> writers[] = {{write_safetensors, FileFormat::safetensors},
                                                     {write_checkpoint, FileFormat::torch_zip},
                                                     {write_gguf, FileFormat::gguf}};
    for (const auto& [writer, format] : writers) {
        INFO(to_string(format));
        const auto written = write(writer, model_of(in), folder / "out");
        if (!written) FAIL(written.error().message);
        const WeightFile out = opened(folder / "out");
        CHECK(out.format() == format);
        check_same(in, out);
        CHECK(out.metadata().at("title") == "Ünïcode, \"quoted\"");
    }
}

TEST_CASE("types that a format has beyond those of all", "[weights]") {
    const TemporaryFolder folder;
    OutputModel floats{{}, {counting("x", StoredType::f8_e4m3, {5, 4}), counting("y", StoredType::f8_e5m2, {7})}};
    for (const Writer writer : {&write_safetensors, &write_checkpoint}) {
        REQUIRE(write(writer, floats, folder / "out"));
        const WeightFile out = opened(folder / "out");
        CHECK(out.find("x")->dtype == StoredType::f8_e4m3);
        CHECK(out.find("y")->dtype == StoredType::f8_e5m2);
        float value = 0;
        read_f32(*out.find("x"), 13, {&value, 1});
        CHECK(value == 13);
    }
    const auto no_floats = write(write_gguf, floats, folder / "none");
    REQUIRE_FALSE(no_floats);
    CHECK(no_floats.error().message ==
          "tensor 'x' is F8_E4M3, which GGUF does not have; choose a type as fp16 or q8_0");
    CHECK_FALSE(std::filesystem::exists(folder / "none"));

    const OutputModel blocks{{}, {counting("x", StoredType::q8_0, {3, 64}), counting("y", StoredType::q4_k, {2, 512})}};
    REQUIRE(write(write_gguf, blocks, folder / "out"));
    const WeightFile out = opened(folder / "out");
    float value = 0;
    read_f32(*out.find("x"), 127, {&value, 1});
    CHECK(value == Approx(127).margin(1));
    CHECK_FALSE(write(write_safetensors, blocks, folder / "none"));
    CHECK_FALSE(write(write_checkpoint, blocks, folder / "none"));
}

TEST_CASE("values beyond a type's range are an error, not infinities", "[weights]") {
    const TemporaryFolder folder;
    const auto with = [&](float value, StoredType type) {
        const auto read = [value](std::uint64_t, std::span<float> to) -> Status {
            std::fill(to.begin(), to.end(), value);
            return {};
        };
        const OutputModel model{{}, {made("w", type, {32}, read)}};
        return write(type == StoredType::q8_0 ? write_gguf : write_safetensors, model, folder / "out");
    };
    const auto beyond = with(70000, StoredType::f16);
    REQUIRE_FALSE(beyond);
    CHECK(beyond.error().message == "tensor 'w' has the value 70000, beyond the range of F16; choose bf16 or fp32");
    CHECK_FALSE(with(500, StoredType::f8_e4m3));
    CHECK(with(500, StoredType::f8_e5m2));
    CHECK(with(70000, StoredType::bf16));
    CHECK(with(std::numeric_limits<float>::infinity(), StoredType::f16));
    CHECK_FALSE(with(std::numeric_limits<float>::quiet_NaN(), StoredType::q8_0));
}

TEST_CASE("a write that is told to stop leaves nothing", "[weights]") {
    const TemporaryFolder folder;
    const OutputModel model{{}, {counting("x", StoredType::f32, {1000})}};
    {
        auto file = NewFile::create(folder / "out", Existing::refuse);
        REQUIRE(file);
        const auto stopped = write_checkpoint(*file, model, [](std::uint64_t) -> Status {
            return Error{Code::cancelled, "cancelled"};
        });
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().code == Code::cancelled);
    }
    CHECK(std::filesystem::is_empty((folder / "x").parent_path()));
}
