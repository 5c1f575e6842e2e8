-- For pages: the rows of one device. Added to a store when it is opened for writing, beside the tables of any format.
CREATE INDEX IF NOT EXISTS clients_by_device ON clients (device, client);
CREATE INDEX IF NOT EXISTS bindings_by_identifiers ON bindings (identifiers, client);
CREATE INDEX IF NOT EXISTS connected_by_client ON connected (client, day);
