#include "text/prompt_networks.hpp"

#include "catch.hpp"

using namespace pumice;

TEST_CASE("networks are taken out of the prompt, with their weights") {
    const auto found =
        take_networks("a boat <lora:sea:0.8> at <lyco:dusk> night<lora:my style:1:0.5><lora:x:te=0.2:unet=2>");
    REQUIRE(found);
    CHECK(found->text == "a boat  at  night");
    REQUIRE(found->networks.size() == 4);
    CHECK(found->networks[0].name == "sea");
    CHECK(found->networks[0].text == 0.8f);
    CHECK(found->networks[0].unet == 0.8f);
    CHECK(found->networks[1].kind == "lora");
    CHECK(found->networks[1].text == 1);
    CHECK(found->networks[2].name == "my style");
    CHECK(found->networks[2].text == 1);
    CHECK(found->networks[2].unet == 0.5f);
    CHECK(found->networks[3].text == 0.2f);
    CHECK(found->networks[3].unet == 2);
}

TEST_CASE("other brackets are text") {
    for (const char* prompt : {"a < b > c", "<3", "<b:c>", "x > y <", "", "<lora>", "<<>>"}) {
        const auto found = take_networks(prompt);
        REQUIRE(found);
        CHECK(found->text == prompt);
        CHECK(found->networks.empty());
    }
    const auto inner = take_networks("<a <lora:b:-1>");
    REQUIRE(inner);
    CHECK(inner->text == "<a ");
    CHECK(inner->networks[0].unet == -1);
}

TEST_CASE("a weight that is no number is refused") {
    for (const char* prompt :
         {"<lora:a:b>", "<lora:a:1:>", "<lora:a:1e9>", "<lora:a:nan>", "<lora:>", "<lora:a:te=x>"}) {
        INFO(prompt);
        const auto found = take_networks(prompt);
        REQUIRE_FALSE(found);
        CHECK(found.error().code == Code::invalid_argument);
    }
}
