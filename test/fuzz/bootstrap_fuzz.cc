// The bootstrap port, fed with any bytes over a real connection: whatever comes, the server closes
// the connection or answers it, hands nothing to a handler without proof, and serves the next
// caller.
#include <sys/socket.h>

#include <memory>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "cluster/gathering.hpp"
#include "fuzz.hpp"
#include "net/bootstrap_client.hpp"
#include "net/bootstrap_server.hpp"

namespace {

using namespace benchfs;

/// Lives as long as the process: a new loop and port for every input would run out of ports.
struct Target {
  std::unique_ptr<Loop> loop = std::move(*Loop::create({}));
  Loop::Scope scope{*loop};
  std::unique_ptr<BootstrapServer> server;
  Gathering gathering{ServerRecord{}, 2};
  bool expect_proof = false;
  unsigned inputs = 0;

  Target() {
    (void)init_log(LogLevel::off, "", "fuzz");
    BootstrapServer::Options options;
    options.secret = std::string(32, 's');
    options.instance = 42;
    options.connection_ms = 2000;
    server = std::move(*BootstrapServer::start(*loop, options));
    for (const auto op : {bootstrap::Op::cluster, bootstrap::Op::join, bootstrap::Op::stop}) {
      server->set_handler(op, [this](std::string_view) -> Explained<std::string> {
        BFS_ASSERT(expect_proof);
        return "reply";
      });
    }
  }
  ~Target() { loop->run(server->close()); }

  void try_input(std::span<const std::byte> bytes) {
    const std::int64_t deadline_ns = now_ns() + 10'000'000'000;
    auto connected = loop->run(connect_tcp(*loop, "127.0.0.1", server->port(), deadline_ns));
    BFS_ASSERT(connected);
    Socket socket = std::move(*connected);
    (void)loop->run(socket.write_all(bytes, deadline_ns));
    ::shutdown(socket.descriptor(), SHUT_WR);  // the end of the input, not of the reply
    std::byte one;
    while (loop->run(socket.read_exact({&one, 1}, deadline_ns))) {
    }
    BFS_ASSERT(now_ns() < deadline_ns);
    if (++inputs % 64 == 0)
      BFS_ASSERT(loop->run(probe(*loop, "127.0.0.1", server->port(), 42, 5000)));
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  const auto bytes = std::as_bytes(std::span{data, size});
  target.try_input(bytes);
  // What a proven caller may send to a coordinator, and a server to its caller.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  BFS_ASSERT(!target.gathering.join(text));
  if (size >= sizeof(bootstrap::Reply)) {
    bootstrap::Reply reply;
    std::memcpy(&reply, data, sizeof(reply));
    if (bootstrap::defect(reply) == nullptr)
      BFS_ASSERT(reply.payload_bytes <= bootstrap::kReplyPayloadMax);
    (void)errc_from_wire(reply.status);
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  const auto as_string = [](const auto& frame) {
    const auto bytes = bootstrap::bytes_of(frame);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  std::vector<std::string> seeds{"", "GET / HTTP/1.0\r\n\r\n", as_string(bootstrap::Reply{}),
                                 as_string(bootstrap::Banner{})};
  for (std::uint16_t op = 0; op <= bootstrap::kOpMax + 1; ++op) {
    bootstrap::Request request;
    request.op = op;
    request.payload_bytes = op * 3u;
    seeds.push_back(as_string(request) + std::string(op * 3u, 'p'));
  }
  ServerRecord record;
  record.id = "s1";
  record.host = "node";
  record.pid = 10;
  record.bootstrap_host = "127.0.0.1";
  record.bootstrap_port = 4000;
  record.instance = 9;
  record.ucx_address = {std::byte{1}};
  seeds.push_back(encode_record(record));
  return seeds;
}
