#include "weights/checkpoint.hpp"

#include <numeric>
#include <span>

#include <fmt/format.h>

#include "catch.hpp"
#include "weights/checkpoint_builder.hpp"
#include "weights/file_builder.hpp"
#include "weights/weight_file.hpp"

using namespace pumice;
using test::LegacyStorage;
using test::PickleWriter;
using test::TemporaryFolder;

namespace {

/// Bytes of the floats 0, 1, 2, …
std::string floats(std::size_t n) {
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 0.0f);
    return {reinterpret_cast<const char*>(values.data()), n * sizeof(float)};
}

std::vector<float> values_of(const StoredTensor& t) {
    std::vector<float> values(t.data.size() / sizeof(float));
    std::memcpy(values.data(), t.data.data(), t.data.size());
    return values;
}

struct Saved {
    TemporaryFolder folder{};
    std::filesystem::path path = folder / "model.ckpt";
    mutable int opened = 0;

    WeightFile open(const std::string& bytes) const {
        // Each has a name of its own: a file that is mapped must stay as it is.
        const auto own = folder / fmt::format("{}.ckpt", opened++);
        test::write_file(own, bytes);
        auto file = WeightFile::open(own);
        if (!file) FAIL(file.error().message);
        return *std::move(file);
    }
    /// The message without the file's name.
    std::string refused(const std::string& bytes) const {
        test::write_file(path, bytes);
        const auto file = WeightFile::open(path);
        REQUIRE_FALSE(file);
        CHECK(file.error().code == Code::bad_format);
        CHECK(file.error().message.find('\n') == std::string::npos);
        REQUIRE(file.error().message.find(path.string() + ": ") == 0);
        return file.error().message.substr(path.string().size() + 2);
    }
};

const StoredTensor& tensor(const WeightFile& file, const std::string& name) {
    const StoredTensor* const found = file.find(name);
    if (!found) FAIL("no tensor " + name);
    return *found;
}

/// {'w': a tensor}
std::string one_tensor(const std::vector<std::uint64_t>& shape, const std::vector<std::uint64_t>& strides,
                       std::uint64_t offset = 0, std::uint64_t elements = 12, const char* type = "FloatStorage") {
    return PickleWriter().raw("}").text("w").tensor(type, "0", elements, shape, strides, offset).raw("s").done();
}

bool in_mapping(const WeightFile& file, const StoredTensor& t) {
    const auto bytes = file.files()[0]->bytes();
    return t.data.data() >= bytes.data() && t.data.data() < bytes.data() + bytes.size();
}

}  // namespace

TEST_CASE("tensors of a checkpoint lie in its mapping, in both layouts, or are unpacked", "[weights]") {
    const Saved saved;
    PickleWriter pickle;
    pickle.raw("}(").text("a.weight").tensor("FloatStorage", "7", 12, {3, 4}, {4, 1});
    pickle.text("a.bias").tensor("HalfStorage", "8", 3, {3}, {1}).text("none").raw("N").raw("u");
    const std::string halves("\x00\x3c\x00\x40\x00\x42", 6);
    const WeightFile stored = saved.open(test::zip_checkpoint(pickle.done(), {{"7", floats(12)}, {"8", halves}}));
    const WeightFile packed = saved.open(test::zip_checkpoint(pickle.done(), {{"7", floats(12)}, {"8", halves}}, true));
    const WeightFile legacy =
        saved.open(test::legacy_checkpoint(pickle.done(), {{"7", floats(12), 4}, {"8", halves, 2}}));
    CHECK(stored.format() == FileFormat::torch_zip);
    CHECK(packed.format() == FileFormat::torch_zip);
    CHECK(legacy.format() == FileFormat::torch_legacy);
    for (const WeightFile* file : {&stored, &packed, &legacy}) {
        REQUIRE(file->tensors().size() == 2);
        const StoredTensor &weight = tensor(*file, "a.weight"), &bias = tensor(*file, "a.bias");
        CHECK(weight.dtype == StoredType::f32);
        CHECK(weight.shape == std::vector<std::uint64_t>{3, 4});
        CHECK(values_of(weight)[11] == 11.0f);
        CHECK(bias.dtype == StoredType::f16);
        CHECK(std::memcmp(bias.data.data(), halves.data(), 6) == 0);
        CHECK(in_mapping(*file, weight) == (file != &packed));
    }
}

TEST_CASE("the embedding that PyTorch wrote is the one that safetensors has", "[weights]") {
    const std::string folder = PUMICE_TEST_DATA "/goldens/ti/";
    const auto torch = WeightFile::open(folder + "my-emb.pt");
    const auto safe = WeightFile::open(folder + "my-emb.safetensors");
    REQUIRE(torch);
    REQUIRE(safe);
    const StoredTensor &a = tensor(*torch, "string_to_param.*"), &b = tensor(*safe, "emb_params");
    CHECK(a.shape == b.shape);
    CHECK(std::equal(a.data.begin(), a.data.end(), b.data.begin(), b.data.end()));
    CHECK(torch->metadata() ==
          std::map<std::string, std::string>{{"name", "my-emb"}, {"step", "100"}, {"string_to_token.*", "265"}});
}

TEST_CASE("views, shared and strided tensors read as PyTorch shows them", "[weights]") {
    const Saved saved;
    PickleWriter pickle;
    pickle.raw("}(");
    const auto add = [&](const char* name, const std::vector<std::uint64_t>& shape,
                         const std::vector<std::uint64_t>& strides, std::uint64_t offset) {
        pickle.text(name).tensor("FloatStorage", "0", 12, shape, strides, offset);
    };
    add("all", {3, 4}, {4, 1}, 0);
    add("row", {4}, {1}, 4);
    add("transposed", {4, 3}, {1, 4}, 0);
    add("column", {3}, {4}, 2);
    add("expanded", {2, 3}, {0, 1}, 3);
    add("one", {1, 1, 2}, {77, 5, 1}, 9);  // the stride of a single element means nothing
    add("scalar", {}, {}, 11);
    add("empty", {0, 5}, {5, 1}, 0);
    const WeightFile file = saved.open(test::zip_checkpoint(pickle.raw("u").done(), {{"0", floats(12)}}));
    using Values = std::vector<float>;
    CHECK(values_of(tensor(file, "row")) == Values{4, 5, 6, 7});
    CHECK(values_of(tensor(file, "transposed")) == Values{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
    CHECK(values_of(tensor(file, "column")) == Values{2, 6, 10});
    CHECK(values_of(tensor(file, "expanded")) == Values{3, 4, 5, 3, 4, 5});
    CHECK(values_of(tensor(file, "one")) == Values{9, 10});
    CHECK(values_of(tensor(file, "scalar")) == Values{11});
    CHECK(tensor(file, "empty").data.empty());
    CHECK(tensor(file, "row").data.data() == tensor(file, "all").data.data() + 16);
}

TEST_CASE("weights are found where tools put them", "[weights]") {
    const Saved saved;
    const auto names = [&](const PickleWriter& pickle) {
        std::string all;
        const WeightFile file = saved.open(test::zip_checkpoint(pickle.done(), {{"0", floats(12)}}));
        for (const StoredTensor& t : file.tensors()) all += t.name + " ";
        for (const auto& [key, value] : file.metadata()) all += key + "=" + value + " ";
        return all;
    };
    const auto put = [](PickleWriter& pickle, const char* name) {
        pickle.text(name).tensor("FloatStorage", "0", 12, {12}, {1});
    };
    PickleWriter nested;  // as PyTorch Lightning saves, with an object of its own as a key
    nested.raw("}(").text("epoch").integer(3).text("callbacks").raw("}");
    nested.global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint").raw("}s");
    nested.text("state_dict").global("collections", "OrderedDict").raw(")R(");
    put(nested, "model.a");
    nested.raw("u}").text("_metadata").raw("Nsbu");  // the dict's own state
    CHECK(names(nested) == "model.a epoch=3 ");

    PickleWriter ema;
    ema.raw("}(").text("params").raw("}(");
    put(ema, "slow");
    ema.raw("u").text("params_ema").raw("}(");
    put(ema, "fast");
    CHECK(names(ema.raw("uu")) == "fast ");

    PickleWriter parameters;  // a module's ParameterDict, and parameters
    parameters.raw("}").text("p").global("torch.nn.modules.container", "ParameterDict").raw(")\x81}");
    parameters.text("_parameters").raw("}").text("*").global("torch._utils", "_rebuild_parameter").raw("(");
    parameters.tensor("FloatStorage", "0", 12, {12}, {1}).raw("\x89}tRssbs");
    CHECK(names(parameters) == "p.* ");

    PickleWriter lists;  // hypernetworks: numbers as keys, lists of dicts
    lists.raw("}").integer(768).raw("](}(");
    put(lists, "linear.weight");
    lists.raw("u}(");
    put(lists, "linear.weight");
    CHECK(names(lists.raw("ues")) == "768.0.linear.weight 768.1.linear.weight ");

    PickleWriter eights;  // types without a storage class of their own
    eights.raw("}").text("w").global("torch._utils", "_rebuild_tensor_v3").raw("(");
    eights.storage("UntypedStorage", "0", 48).integer(8).tuple({4}).tuple({1}).raw("\x89").raw("}");
    eights.global("torch", "float8_e4m3fn").raw("tRs");
    const WeightFile file = saved.open(test::zip_checkpoint(eights.done(), {{"0", floats(12)}}));
    CHECK(tensor(file, "w").dtype == StoredType::f8_e4m3);
    CHECK(tensor(file, "w").data.size() == 4);
}

TEST_CASE("parts of storages in the older layout", "[weights]") {
    const Saved saved;
    const std::string view = PickleWriter().raw("(").text("v").integer(3).integer(5).raw("t").done();
    PickleWriter pickle;
    pickle.raw("}").text("w").rebuild().storage("FloatStorage", "0", 12, view.substr(2, view.size() - 3));
    pickle.rebuilt(1, {4}, {1}).raw("s");
    const WeightFile file = saved.open(test::legacy_checkpoint(pickle.done(), {{"0", floats(12), 4}}));
    CHECK(values_of(tensor(file, "w")) == std::vector<float>{4, 5, 6, 7});
    CHECK(saved.refused(test::legacy_checkpoint(pickle.done(), {{"0", floats(12), 4}}, false)) ==
          "its numbers are big-endian: save it again on a little-endian machine");
}

TEST_CASE("a checkpoint that would run something is refused by name", "[weights]") {
    const Saved saved;
    const auto message = [&](const PickleWriter& pickle) {
        const std::string zip = saved.refused(test::zip_checkpoint(pickle.done(), {}));
        CHECK(saved.refused(test::legacy_checkpoint(pickle.done(), {})) == zip);
        return zip;
    };
    const std::string rest = ", which no weights need: nothing of it was run, and the file is not used";
    CHECK(message(PickleWriter().global("os", "system").text("touch /tmp/x").raw("\x85R")) ==
          "imports os.system" + rest);
    CHECK(message(PickleWriter().global("posix", "system").raw("0}").text("state_dict").raw("}s")) ==
          "imports posix.system" + rest);
    // Called through others, built by an instance, from names on the stack, from inside of a dict's key.
    CHECK(message(PickleWriter().global("builtins", "getattr").global("os", "path").text("system").raw("\x86R)R")) ==
          "imports builtins.getattr, os.path" + rest);
    CHECK(message(PickleWriter().raw("(").text("ls").raw("ios\npopen\n")) == "imports os.popen" + rest);
    CHECK(message(PickleWriter().raw("(").global("subprocess", "Popen").text("ls").raw("o")) ==
          "imports subprocess.Popen" + rest);
    CHECK(message(PickleWriter().text("os").text("execv").raw("\x93)R")) == "imports os.execv" + rest);
    CHECK(message(PickleWriter().raw("}").global("a\x1b[2J", "b").raw("Ns")) == "imports a?[2J.b" + rest);
    // What is allowed makes no more than data, whatever it is called with.
    CHECK(message(PickleWriter().global("torch._utils", "_rebuild_tensor_v2").raw(")R")) ==
          "tensor '': it is made of too few values");
    CHECK(message(PickleWriter().global("collections", "OrderedDict").raw(")R)R")) ==
          "a pickle that calls what it has made (byte 30 of the pickle)");
    CHECK(message(PickleWriter().raw("\x82\x05")).find("an import from the registry of extensions") == 0);
}

TEST_CASE("pickles that count, nest or refer without end stay small", "[weights]") {
    const Saved saved;
    const auto message = [&](const std::string& pickle) { return saved.refused(test::zip_checkpoint(pickle, {})); };
    CHECK(message(PickleWriter().raw("X\xff\xff\xff\xff").done()).find("it is truncated") != std::string::npos);
    CHECK(message(PickleWriter().raw("\x8e").number(~std::uint64_t(0), 8).done()).find("it is truncated") !=
          std::string::npos);
    CHECK(message(PickleWriter().raw(std::string(2'000'000, '(')).done()).find("takes what it has not made") !=
          std::string::npos);
    CHECK(message(PickleWriter().raw(std::string(5'000'000, ']')).done()).find("more than 4194304 values") !=
          std::string::npos);
    // A list that holds itself; lists of ten of the list before, deeper than any computer counts.
    CHECK(message(PickleWriter().raw("]q").number(0, 1).raw("h").number(0, 1).raw("a").done()) ==
          "a PyTorch file without any tensors");
    std::string doubling = PickleWriter().done();
    doubling.pop_back();
    doubling += "]q";
    doubling += '\0';
    for (int i = 0; i < 40; ++i) {
        doubling += "](";
        for (int k = 0; k < 10; ++k) doubling += std::string("h") + static_cast<char>(i);
        doubling += std::string("eq") + static_cast<char>(i + 1);
    }
    CHECK(message(doubling + ".") == "more than 1048576 entries");
    // One dict of pairs, copied by every call.
    PickleWriter copies;
    copies.raw("](");
    for (int i = 0; i < 5000; ++i) copies.raw("NN\x86");
    copies.raw("e\x85q").number(0, 1);
    copies.global("collections", "OrderedDict").raw("q").number(1, 1);
    for (int i = 0; i < 5000; ++i) copies.raw("h\x01h").number(0, 1).raw("R");
    CHECK(message(copies.done()).find("containers with more than 16777216 items") != std::string::npos);
}

TEST_CASE("tensors that do not fit their storage", "[weights]") {
    const Saved saved;
    const auto message = [&](const std::string& pickle) {
        return saved.refused(test::zip_checkpoint(pickle, {{"0", floats(12)}}));
    };
    CHECK(message(one_tensor({13}, {1})) == "tensor 'w': shape [13] reaches outside of its storage of 12 elements");
    CHECK(message(one_tensor({12}, {1}, 1)) == "tensor 'w': shape [12] reaches outside of its storage of 12 elements");
    CHECK(message(one_tensor({2, 2}, {std::uint64_t(1) << 62, std::uint64_t(1) << 62})) ==
          "tensor 'w': shape [2, 2] reaches outside of its storage of 12 elements");
    const std::uint64_t big = std::uint64_t(1) << 40;
    CHECK(message(one_tensor({big, big}, {0, 0})) == "tensor 'w': shape [1099511627776, 1099511627776] overflows");
    CHECK(message(one_tensor({big}, {0})) == "tensor 'w': 4398046511104 bytes from a storage that has fewer");
    CHECK(message(one_tensor({13}, {1}, 0, 13)) ==
          "tensor 'w': its storage has 48 bytes, but 52 are needed: the file is truncated");
    CHECK(message(one_tensor({1}, {1}, 0, std::uint64_t(1) << 60)) == "tensor 'w': a storage of an impossible size");
    CHECK(message(one_tensor({3, 4}, {1})) == "tensor 'w': it has not as many strides as sizes");
    CHECK(message(one_tensor({1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1})) ==
          "tensor 'w': its shape is not made of at most 8 sizes");
    CHECK(message(one_tensor({12}, {1}, 0, 12, "ComplexFloatStorage")).find("imports torch.ComplexFloatStorage") == 0);
    const std::string other =
        PickleWriter().raw("}").text("w").tensor("FloatStorage", "9", 1, {1}, {1}).raw("s").done();
    CHECK(message(other) == "tensor 'w': its storage 'model/data/9' is missing");
}

TEST_CASE("archives that are damaged or no checkpoints", "[weights]") {
    const Saved saved;
    CHECK(saved.refused(test::zip_archive({{"readme.txt", "hello"}})) ==
          "a zip archive without a data.pkl: no PyTorch checkpoint");
    CHECK(saved.refused(test::zip_archive({{"m/data.pkl", "x"}, {"m/constants.pkl", "y"}})) ==
          "a TorchScript program, not a checkpoint: save the model's state_dict instead");
    CHECK(saved.refused(test::zip_checkpoint(PickleWriter().raw("}").done(), {})) ==
          "a PyTorch file without any tensors");
    CHECK(saved.refused(PickleWriter().raw("}").done()) == "a pickle, but no PyTorch checkpoint");
    const std::string pickle = one_tensor({12}, {1});
    CHECK(
        saved.refused(test::zip_archive({{"m/byteorder", "big"}, {"m/data.pkl", pickle}, {"m/data/0", floats(12)}})) ==
        "its numbers are big-endian: save it again on a little-endian machine");
    // 80 MB of zeros in a file of 80 kB.
    const std::uint64_t many = 20'000'000;
    CHECK(
        saved
            .refused(test::zip_checkpoint(one_tensor({many}, {1}, 0, many), {{"0", std::string(4 * many, '\0')}}, true))
            .find("is more than weights pack to") != std::string::npos);
    for (const std::string& whole :
         {test::zip_checkpoint(pickle, {{"0", floats(12)}}), test::zip_checkpoint(pickle, {{"0", floats(12)}}, true),
          test::legacy_checkpoint(pickle, {{"0", floats(12), 4}})}) {
        CHECK(saved.open(whole).tensors().size() == 1);
        for (std::size_t size = 1; size < whole.size(); ++size) {
            INFO("the first " << size << " bytes of " << whole.size());
            CHECK_FALSE(saved.refused(whole.substr(0, size)).empty());
        }
    }
    CHECK(saved.refused(test::legacy_checkpoint(pickle, {{"0", floats(12), 4}}) + "x") ==
          "1 bytes after the last storage");
}

TEST_CASE("a safetensors header of 640 bytes is no pickle", "[weights]") {
    const Saved saved;
    std::string file = test::FileBuilder().add("a", "U8", {1}, std::string("x")).build();
    std::string header = file.substr(8, file.size() - 9);
    header.append(640 - header.size(), ' ');
    CHECK(saved.open(test::raw_file(header, "x")).format() == FileFormat::safetensors);
}
