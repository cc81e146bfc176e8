// What UCX has to say. By default it prints to standard output, which is not its to use in a
// program whose output is read by others.
#pragma once

namespace benchfs {

/// From now on messages of UCX go to the log of this process. For programs of our own: never in the
/// library, where UCX may be shared with MPI.
void send_ucx_messages_to_log();

}  // namespace benchfs
