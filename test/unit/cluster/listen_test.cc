// The setting `listen` and what it stands for.
#include "cluster/listen.hpp"

#include <doctest/doctest.h>

using namespace benchfs;

namespace {

const std::vector<InterfaceAddress> kInterfaces{
    {.interface = "lo", .address = "127.0.0.1", .v6 = false, .loopback = true},
    {.interface = "eth0", .address = "10.1.2.3", .v6 = false, .loopback = false},
    {.interface = "ib0", .address = "10.9.0.7", .v6 = false, .loopback = false},
    {.interface = "lo", .address = "::1", .v6 = true, .loopback = true},
};

TEST_SUITE("listen") {
  TEST_CASE("an address is bound to, with its interface for UCX") {
    const auto loopback = resolve_listen("127.0.0.1:0", kInterfaces);
    REQUIRE(loopback);
    CHECK(loopback->bind_host == "127.0.0.1");
    CHECK(loopback->host == "127.0.0.1");
    CHECK(loopback->port == 0);
    CHECK(loopback->net_device == "lo");
    const auto outside = resolve_listen("10.9.0.7:4000", kInterfaces);
    REQUIRE(outside);
    CHECK(outside->net_device == "ib0");
    CHECK(outside->port == 4000);
    CHECK(resolve_listen("127.0.0.77", kInterfaces)->net_device == "lo");
    CHECK(resolve_listen("[::1]:5", kInterfaces)->bind_host == "::1");
  }

  TEST_CASE("an interface stands for its address") {
    const auto ib = resolve_listen("ib0:4000", kInterfaces);
    REQUIRE(ib);
    CHECK(ib->bind_host == "10.9.0.7");
    CHECK(ib->host == "10.9.0.7");
    CHECK(ib->net_device == "ib0");
    CHECK(resolve_listen("lo", kInterfaces)->bind_host == "127.0.0.1");
  }

  TEST_CASE("any binds to all, tells others the first outside address, and leaves UCX its choice") {
    for (const char* text : {"any", "any:0", "0.0.0.0:0"}) {
      const auto any = resolve_listen(text, kInterfaces);
      REQUIRE(any);
      CHECK(any->bind_host == "0.0.0.0");
      CHECK(any->host == "10.1.2.3");
      CHECK(any->net_device.empty());
    }
    CHECK(resolve_listen("any", {kInterfaces[0]})->host == "127.0.0.1");
  }

  TEST_CASE("a name of this host works, what is not of this host is an error that lists what is") {
    CHECK(resolve_listen("localhost:1", kInterfaces)->net_device == "lo");
    const auto wrong = resolve_listen("192.0.2.1:1", kInterfaces);
    REQUIRE(!wrong);
    CHECK(wrong.error().find("192.0.2.1") != std::string::npos);
    CHECK(wrong.error().find("ib0 (10.9.0.7)") != std::string::npos);
    CHECK(!resolve_listen("ib9", kInterfaces));
    CHECK(!resolve_listen("", kInterfaces));
    CHECK(!resolve_listen("a:b:c", kInterfaces));
    CHECK(!resolve_listen("127.0.0.1:70000", kInterfaces));
  }

  TEST_CASE("this host has a loopback interface") {
    CHECK(resolve_listen("127.0.0.1"));
  }
}

}  // namespace
