// --control, and what the parameters text says of it.
#include "cli/control_option.hpp"

#include "catch.hpp"
#include "image/infotext.hpp"

using namespace pumice;
using namespace pumice::cli;

TEST_CASE("--control names a model, a picture, and how much it counts") {
    const auto plain = parse_control("model=m.safetensors,image=a.png");
    REQUIRE(plain);
    CHECK(plain->use.model == "m.safetensors");
    CHECK(plain->image == "a.png");
    CHECK(plain->use.weight == 1);
    CHECK(plain->use.end == 1);
    CHECK(plain->use.resize == PUMICE_RESIZE_CROP);
    const auto full = parse_control(
        "image=a.png,weight=0.5,start=0.1,end=0.75,mode=control,resize=fill,preprocessor=canny,"
        "method=controlnet,model=x/canny v1.safetensors");
    REQUIRE(full);
    CHECK(full->use.mode == PUMICE_CONTROL_CONTROL);
    CHECK(control_infotext(*full) ==
          "Module: canny, Model: canny v1, Weight: 0.5, Resize Mode: Resize and Fill, Guidance "
          "Start: 0.1, Guidance End: 0.75, Control Mode: ControlNet is more important");
    host::PictureInfo info;
    info.prompt = "a";
    info.controls = {control_infotext(*plain)};
    CHECK(host::infotext(info).find("ControlNet 0: \"Module: none, Model: m, Weight: 1, ") != std::string::npos);
}

TEST_CASE("what is wrong with --control is said in a line") {
    const auto error = [](const char* text) {
        const auto parsed = parse_control(text);
        REQUIRE(!parsed);
        CHECK(parsed.failure().status == PUMICE_INVALID_ARGUMENT);
        return std::string(parsed.failure().message);
    };
    CHECK(error("model=m") == "--control: it needs model=FILE and image=PNG");
    CHECK(error("m.safetensors") == "--control: m.safetensors is not KEY=VALUE; write model=FILE,image=PNG,weight=1");
    CHECK(error("model=m,image=a,weight=x") == "--control: weight x is not a number from 0 to 10");
    CHECK(error("model=m,image=a,end=2") == "--control: end 2 is not a number from 0 to 1");
    CHECK(error("model=m,image=a,mode=soft") == "--control: mode soft is not one of balanced, prompt, control");
    CHECK(error("model=m,image=a,wieght=1").find("--control: there is no wieght") == 0);
    CHECK(error("model=m,image=a,start=0.6,end=0.5") == "--control: start 0.6 is after end 0.5");
    CHECK(error("model=,image=a") == "--control: model \"\" is not a name");
}
