#include "weights/parts.hpp"

#include "catch.hpp"
#include "diffusers_folder.hpp"
#include "models/configs.hpp"
#include "weights/checkpoint_builder.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using test::DiffusersFolder;
using test::FileBuilder;
using test::TemporaryFolder;

namespace {

const std::string kTiny = PUMICE_TEST_DATA "/goldens/sd1/sd1_tiny.safetensors";

WeightFile opened(const std::filesystem::path& path) {
    auto file = WeightFile::open(path);
    if (!file) FAIL(file.error().message);
    return *std::move(file);
}

/// Every tensor that the geometry asks for is there, byte for byte.
void check_same_model(const WeightFile& file, const WeightFile& tiny) {
    const auto config = model_config(file), expected = model_config(tiny);
    if (!config) FAIL(config.error().message);
    REQUIRE(expected);
    CHECK(*config == *expected);
    for (const TensorSpec& spec : expected_tensors(*expected)) {
        const StoredTensor *a = file.find(spec.name), *b = tiny.find(spec.name);
        INFO(spec.name);
        REQUIRE(a);
        REQUIRE(b);
        CHECK(a->dtype == b->dtype);
        CHECK(std::equal(a->data.begin(), a->data.end(), b->data.begin(), b->data.end()));
    }
}

std::string message(const std::filesystem::path& path) {
    const auto file = WeightFile::open(path);
    REQUIRE_FALSE(file);
    return file.error().message;
}

/// Those of a file whose name starts with a prefix, without it.
std::string part_file(const WeightFile& file, const std::string& prefix) {
    FileBuilder builder;
    for (const StoredTensor& t : file.with_prefix(prefix))
        builder.add(t.name.substr(prefix.size()), to_string(t.dtype), t.shape,
                    std::string(reinterpret_cast<const char*>(t.data.data()), t.data.size()));
    return builder.build();
}

}  // namespace

TEST_CASE("a folder of diffusers is the single file it was made from", "[weights]") {
    const TemporaryFolder folder;
    const WeightFile tiny = opened(kTiny);
    DiffusersFolder(kTiny, {}).write(folder / "plain");
    const WeightFile plain = opened(folder / "plain");
    CHECK(plain.format() == FileFormat::diffusers);
    CHECK(plain.files().size() == 3);
    check_same_model(plain, tiny);

    test::DiffusersOptions old;
    old.old_attention = true;
    old.variant = "fp16";
    DiffusersFolder(kTiny, old).write(folder / "old");
    check_same_model(opened(folder / "old"), tiny);

    test::DiffusersOptions sharded;
    sharded.shards = true;
    sharded.prediction = "v_prediction";
    DiffusersFolder(kTiny, sharded).write(folder / "shards");
    const WeightFile shards = opened(folder / "shards");
    CHECK(shards.files().size() == 4);
    const auto config = model_config(shards);
    REQUIRE(config);
    CHECK(config->v_prediction);

    const std::string unet = (folder / "shards").string() + "/unet/";
    const std::string index = unet + "diffusion_pytorch_model.safetensors.index.json";
    CHECK(opened(index).format() == FileFormat::shards);
    std::filesystem::remove(unet + "diffusion_pytorch_model-00002-of-00002.safetensors");
    CHECK(message(folder / "shards") ==
          index + ": the file 'diffusion_pytorch_model-00002-of-00002.safetensors' that it lists is missing");
}

TEST_CASE("PyTorch's .bin files in a folder", "[weights]") {
    const TemporaryFolder folder;
    DiffusersFolder(kTiny, {}).write(folder / "m");
    const std::string vae = (folder / "m").string() + "/vae/diffusion_pytorch_model";
    {
        const WeightFile safe = opened(vae + ".safetensors");
        test::PickleWriter pickle;
        test::Entries storages;
        pickle.raw("}(");
        for (const StoredTensor& t : safe.tensors()) {
            REQUIRE(t.dtype == StoredType::f16);
            std::vector<std::uint64_t> strides(t.shape.size(), 1);
            for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * t.shape[i];
            const std::string key = std::to_string(storages.size());
            pickle.text(t.name).tensor("HalfStorage", key, t.elements(), t.shape, strides);
            storages.emplace_back(key, std::string(reinterpret_cast<const char*>(t.data.data()), t.data.size()));
        }
        test::write_file(vae + ".bin", test::zip_checkpoint(pickle.raw("u").done(), storages));
    }
    std::filesystem::remove(vae + ".safetensors");
    check_same_model(opened(folder / "m"), opened(kTiny));
}

TEST_CASE("folders and indices that are not whole", "[weights]") {
    const TemporaryFolder folder;
    const auto path = folder / "m";
    std::filesystem::create_directories(path);
    CHECK(message(path) == path.string() + ": a folder without model_index.json: no model of diffusers");
    test::write_file(path / "model_index.json", "[");
    CHECK(message(path) == (path / "model_index.json").string() + ": is not a JSON object");
    test::write_file(path / "model_index.json", "{}");
    CHECK(message(path) == path.string() + ": no weights in unet, vae or text_encoder");
    std::filesystem::create_directories(path / "scheduler");
    test::write_file(path / "scheduler/scheduler_config.json", R"({"prediction_type": "sample\n"})");
    CHECK(message(path).find("prediction_type \"sample\\n\" is neither epsilon nor v_prediction") !=
          std::string::npos);

    const auto index = folder / "a.safetensors.index.json";
    const auto with_map = [&](const std::string& map) {
        test::write_file(index, "{\"weight_map\": " + map + "}");
        return message(index).substr(index.string().size() + 2);
    };
    CHECK(with_map("[]") == "a JSON file without a weight_map: no weights");
    CHECK(with_map(R"({"w": 3})") == "tensor 'w' is in no file beside it");
    CHECK(with_map(R"({"w": "../../etc/passwd"})") == "tensor 'w' is in no file beside it");
    CHECK(with_map(R"({"w": ".."})") == "the file '..' that it lists is missing");
    CHECK(with_map(R"({"w": "a.safetensors.index.json"})") == "'a.safetensors.index.json' is an index itself");
    test::write_file(folder / "s", FileBuilder().add("v", "U8", {1}, std::string("x")).build());
    CHECK(with_map(R"({"w": "s"})") == "tensor 'w' is not in 's'");
}

TEST_CASE("a VAE and a text encoder from files of their own", "[weights]") {
    const TemporaryFolder folder;
    const WeightFile tiny = opened(kTiny);
    DiffusersFolder(kTiny, {}).write(folder / "m");
    test::write_file(folder / "vae", part_file(tiny, "first_stage_model."));
    test::write_file(folder / "text", part_file(tiny, "cond_stage_model.transformer.text_model."));
    for (const auto& vae : {folder / "vae", folder / "m/vae", std::filesystem::path(kTiny)}) {
        const auto whole = with_part(tiny, opened(vae), ModelPart::vae);
        REQUIRE(whole);
        check_same_model(*whole, tiny);
        // What is used is the other file's.
        const std::string name = "first_stage_model.decoder.conv_in.weight";
        CHECK(whole->find(name)->data.data() != tiny.find(name)->data.data());
    }
    for (const auto& text : {folder / "text", folder / "m/text_encoder"}) {
        const auto whole = with_part(tiny, opened(text), ModelPart::text);
        REQUIRE(whole);
        check_same_model(*whole, tiny);
    }
    const auto none = with_part(tiny, opened(folder / "text"), ModelPart::vae);
    REQUIRE_FALSE(none);
    CHECK(none.error().message == (folder / "text").string() + ": holds no VAE");
    CHECK_FALSE(with_part(tiny, opened(folder / "vae"), ModelPart::text));
}

TEST_CASE("averaged weights beside the trained ones are left alone", "[weights]") {
    const WeightFile tiny = opened(kTiny);
    WeightContents both = tiny.contents();
    const StoredTensor first = *tiny.find("model.diffusion_model.input_blocks.0.0.weight");
    both.tensors.push_back({"model_ema.diffusion_modelinput_blocks00weight", first.dtype, first.shape, first.data});
    both.tensors.push_back({"model_ema.decay", StoredType::f32, {}, first.data.first(4)});
    const auto file = WeightFile::create(both);
    REQUIRE(file);
    CHECK(recognize(*file) == Family::sd1);
    check_same_model(*file, tiny);
}

TEST_CASE("names as training wrappers leave them", "[weights]") {
    const TemporaryFolder folder;
    test::write_file(folder / "a", FileBuilder()
                                       .add("module.body.0.weight", "U8", {1}, std::string("x"))
                                       .add("module.body.0.bias", "U8", {1}, std::string("x"))
                                       .build());
    CHECK(opened(folder / "a").find("body.0.bias"));
    test::write_file(folder / "b", FileBuilder()
                                       .add("module.weight", "U8", {1}, std::string("x"))
                                       .add("other", "U8", {1}, std::string("x"))
                                       .build());
    CHECK(opened(folder / "b").find("module.weight"));

    // Deeper networks than the golden's: two resnets a block, levels without attention, an old text encoder.
    const auto renamed = [](ModelPart part, std::vector<std::string> names) {
        std::vector<StoredTensor> tensors;
        for (const std::string& name : names) tensors.push_back({name, StoredType::u8, {}, {}});
        return as_single_file(std::move(tensors), part);
    };
    const auto unet =
        renamed(ModelPart::unet, {"down_blocks.0.resnets.1.conv1.weight", "down_blocks.3.resnets.0.norm1.weight",
                                  "down_blocks.2.downsamplers.0.conv.bias", "up_blocks.0.upsamplers.0.conv.weight",
                                  "up_blocks.1.attentions.2.proj_in.weight", "up_blocks.1.upsamplers.0.conv.weight",
                                  "add_embedding.linear_2.bias", "something.else"});
    const std::string prefix = "model.diffusion_model.";
    CHECK(unet[0].name == prefix + "input_blocks.2.0.in_layers.2.weight");
    CHECK(unet[1].name == prefix + "input_blocks.10.0.in_layers.0.weight");
    CHECK(unet[2].name == prefix + "input_blocks.9.0.op.bias");
    CHECK(unet[3].name == prefix + "output_blocks.2.1.conv.weight");
    CHECK(unet[4].name == prefix + "output_blocks.5.1.proj_in.weight");
    CHECK(unet[5].name == prefix + "output_blocks.5.2.conv.weight");
    CHECK(unet[6].name == prefix + "label_emb.0.2.bias");
    CHECK(unet[7].name == prefix + "something.else");
    CHECK(renamed(ModelPart::text, {"encoder.layers.0.mlp.fc1.bias"})[0].name ==
          "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.bias");
}
