#!/usr/bin/env ruby
# Adds a domain, lists domains, looks one up and adds a ticket to it.

require 'json'
require 'net/http'

API = "#{ENV.fetch('CRITS_URL')}/api/v1".freeze
HEADERS = { 'Authorization' => "ApiKey #{ENV.fetch('CRITS_USER')}:#{ENV.fetch('CRITS_KEY')}" }.freeze

def get(path, params)
  uri = URI(API + path)
  uri.query = URI.encode_www_form(params)
  JSON.parse(Net::HTTP.get_response(uri, HEADERS).body)
end

name = 'www.fakedomain.com'
form = URI.encode_www_form('domain' => name, 'source' => ENV.fetch('CRITS_SOURCE'))
headers = HEADERS.merge('Content-Type' => 'application/x-www-form-urlencoded', 'Prefer' => 'status=201')
answer = Net::HTTP.post(URI("#{API}/domains/"), form, headers)
body = JSON.parse(answer.body)
abort "not added: #{body['message']}" unless body['return_code'].zero?
# 201: the domain is new. 200: it was there, and the source was added to it.
puts "#{answer.code == '201' ? 'added' : 'updated'} #{name} #{body['id']}"

page = get('/domains/', 'limit' => 3, 'only' => 'domain,created')
puts "#{page['meta']['total_count']} domains, for example #{page['objects'].map { |found| found['domain'] }}"

found = get('/domains/', 'c-domain' => name)['objects'].first
uri = URI("#{API}/domains/#{found['_id']}/")
ticket = { 'ticket_number' => 'CASE-1', 'date' => '2026-01-15 10:00:00' }
patch = Net::HTTP::Patch.new(uri, HEADERS.merge('Content-Type' => 'application/json'))
patch.body = JSON.generate('action' => 'ticket_add', 'ticket' => ticket)
answer = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == 'https') { |http| http.request(patch) }
puts "ticket: #{JSON.parse(answer.body)['message']}"
