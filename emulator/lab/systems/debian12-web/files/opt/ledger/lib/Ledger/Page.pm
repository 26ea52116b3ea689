package Ledger::Page;
use strict;
use warnings;

# (status, body) for one request line: the list of years' ledgers, or one of them.
sub answer {
    my ($data, $asked) = @_;
    my ($path) = $asked =~ m{^GET /(\S*) HTTP/} or return ('400 Bad Request', "only GET\n");
    return ('200 OK', join('', map { substr($_, length($data) + 1) . "\n" } sort glob("$data/*/*.csv"))) if $path eq '';
    return ('404 Not Found', "no such ledger\n") unless $path =~ m{^\w+/[\w-]+\.csv$} && -f "$data/$path";
    open(my $file, '<:raw', "$data/$path") or return ('403 Forbidden', "closed\n");
    local $/;
    return ('200 OK', scalar <$file>);
}

1;
